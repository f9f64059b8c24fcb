"""`headfit landmarks`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")
    parser.add_argument("--overwrite", action="store_true", help="replace existing landmarks (default: off)")


def _run(args: argparse.Namespace) -> None:
    from headfit.capture import open_capture
    from headfit.capture.landmarks import detect_landmarks

    print(detect_landmarks(open_capture(args.capture), overwrite=args.overwrite))


COMMAND = Command(
    "landmarks", "Detect 68 facial landmarks in every view and store them with the images.", _add_arguments, _run
)
