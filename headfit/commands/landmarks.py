"""`headfit landmarks`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_selection


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")
    parser.add_argument("--overwrite", action="store_true", help="replace existing landmarks (default: off)")
    add_selection(parser)


def _run(args: argparse.Namespace) -> None:
    from headfit.capture import open_capture
    from headfit.capture.landmarks import detect_landmarks
    from headfit.capture.selection import Selection

    capture = open_capture(args.capture, Selection(args.frames, args.cameras))
    print(detect_landmarks(capture, overwrite=args.overwrite))


COMMAND = Command(
    "landmarks", "Detect 68 facial landmarks in every view and store them with the images.", _add_arguments, _run
)
