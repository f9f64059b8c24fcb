"""`headfit prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, open_run
from headfit.errors import HeadfitError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "capture", type=Path, metavar="CAPTURE", help="folder with capture.json, or only with images/<camera>/<frame>.*"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace landmarks, time offsets, masks and calibration that are there (default: off)",
    )
    parser.add_argument(
        "--eye-distance", type=float, metavar="MM", help="distance of the pupils, when it was measured (default: 63)"
    )
    parser.add_argument(
        "--separate-lenses", action="store_true", help="a focal length per camera (default: one for all)"
    )
    parser.add_argument(
        "--from-fit",
        type=Path,
        metavar="RUN",
        help="replace only the masks: their parts are those of the head fitted in RUN, their borders those of the "
        "pictures' colours; then fit again",
    )
    parser.add_argument(
        "--wheel", type=Path, metavar="FILE", help="the wheel of mediapipe 0.10.14 (default: pip downloads it once)"
    )


def _run(args: argparse.Namespace) -> None:
    if args.from_fit is not None:
        from headfit.prepare.from_fit import masks_from_fit

        return masks_from_fit(args.capture, open_run(args.from_fit))

    from headfit.prepare.run import Options, prepare

    if args.eye_distance is not None and not 20 < args.eye_distance < 100:
        raise HeadfitError(f"--eye-distance {args.eye_distance:g}: expected millimetres, such as 63")
    eye_distance = None if args.eye_distance is None else args.eye_distance / 1000
    prepare(args.capture, Options(args.wheel, args.overwrite, args.separate_lenses, eye_distance))


COMMAND = Command(
    "prepare",
    "Find what a capture is missing in its pictures: landmarks, time offsets, masks, calibration.",
    _add_arguments,
    _run,
)
