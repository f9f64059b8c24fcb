"""`headfit render`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_run, capture_of, open_run


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser, "whose cameras are rendered (default: the cameras as they were fitted, without any capture)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--cameras", nargs="+", metavar="CAMERA", default=[], help="camera ids (default: all)")


def _run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from headfit.capture.summary import CaptureSummary
    from headfit.export import render_pictures

    run = open_run(args.run)
    capture, fitted = None, run.model.capture
    if args.capture:
        given = CaptureSummary.of(capture_of(run, args.capture, any_size=True), fitted.world)
        capture = replace(given, cameras=[fitted.world.local_camera(camera) for camera in given.cameras])
    for change in fitted.differences(capture) if capture else ():
        print(f"the capture differs from the fitted one: {change}")
    count = render_pictures(run.model, args.out, args.cameras, capture)
    print(f"rendered {count} pictures: {args.out}")


COMMAND = Command("render", "Write DIR/<camera>/<frame>.png of the fitted model.", _add_arguments, _run)
