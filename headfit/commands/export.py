"""`headfit export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--format", default="npz", help="comma-separated names of formats: npz, ply, obj, glb")


def _run(args: argparse.Namespace) -> None:
    from headfit.export import export_meshes
    from headfit.fitting.run_folder import load_run

    export_meshes(load_run(args.run).model, args.out, [name for name in args.format.split(",") if name])
    print(f"exported: {args.out}")


COMMAND = Command("export", "Write the fitted meshes in metres and world axes.", _add_arguments, _run)
