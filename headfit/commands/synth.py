"""`headfit synth`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import HEAD_HELP, Command, size, whole_number


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="capture folder to write")
    parser.add_argument("--head", metavar="HEAD", default="default", help=HEAD_HELP)
    parser.add_argument(
        "--cameras", type=whole_number(1), default=6, help="number of cameras on an arc in front of the face"
    )
    parser.add_argument("--frames", type=whole_number(1), default=8, help="number of frames, 12 per second")
    parser.add_argument("--size", type=size, default="192x256", metavar="WIDTHxHEIGHT", help="picture size, pixels")
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="seed of identity, expressions, texture and light"
    )


def _run(args: argparse.Namespace) -> None:
    from headfit.head import load
    from headfit.synth import synthesize

    width, height = args.size
    synthesize(
        args.out,
        head=load(args.head),
        cameras=args.cameras,
        frames=args.frames,
        width=width,
        height=height,
        seed=args.seed,
    )
    print(f"synthesized: {args.out}")


COMMAND = Command(
    "synth", "Render a small capture of a head model, with masks, landmarks and ground truth.", _add_arguments, _run
)
