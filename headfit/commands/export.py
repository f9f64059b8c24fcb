"""`headfit export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_run, capture_of


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser, "to hear how it differs from the fitted one (default: meshes need none)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--format", default="npz", help="comma-separated names of formats: npz, ply, obj, glb")


def _run(args: argparse.Namespace) -> None:
    from headfit.capture.summary import CaptureSummary
    from headfit.export import export_meshes
    from headfit.fitting.run_folder import load_run

    run = load_run(args.run)
    if args.capture:
        for change in run.model.capture.differences(CaptureSummary.of(capture_of(run, args.capture))):
            print(f"the capture differs from the fitted one: {change}")
    export_meshes(run.model, args.out, [name for name in args.format.split(",") if name])
    print(f"exported: {args.out}")


COMMAND = Command("export", "Write the fitted meshes in metres and world axes.", _add_arguments, _run)
