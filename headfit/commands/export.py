"""`headfit export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_run, capture_of, open_run

#: Names of the formats in headfit.export, which is imported on use.
FRAME_FORMATS, TAKE_FORMATS = "npz, ply, obj, glb", "glb-animation, usd, usd-skeleton, pc2, mdd, curves"
SCENE_FORMATS = "nerfstudio, gaussianavatars, colmap"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(
        parser,
        f"for {SCENE_FORMATS}, and to hear how it differs from the fitted one (default: where it was)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--format",
        default="npz",
        metavar="NAME,NAME",
        help=f"comma-separated names of formats: one file a frame {FRAME_FORMATS}; one file a take {TAKE_FORMATS}; "
        f"scenes for splat trainers {SCENE_FORMATS}",
    )
    parser.add_argument(
        "--topology",
        metavar="HEAD",
        help="write the fit on the topology of another head model with landmarks, such as a YAML that names a mesh",
    )
    parser.add_argument(
        "--fps", type=_rate, metavar="N", help="frames a second of an animation (default: those of the capture)"
    )


def _rate(text: str) -> float:
    """Frames a second."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e4:
        raise argparse.ArgumentTypeError(f"{text}: expected frames a second, like 29.97")
    return rate


def _run(args: argparse.Namespace) -> None:
    from headfit.capture.summary import CaptureSummary
    from headfit.export import Take, write_take

    run = open_run(args.run)
    if args.capture:
        given = CaptureSummary.of(capture_of(run, args.capture, any_size=True))
        for change in run.model.capture.differences(given):
            print(f"the capture differs from the fitted one: {change}")
    take = Take.of(run.model, args.fps, lambda: capture_of(run, args.capture))
    if args.topology:
        from headfit.head import load
        from headfit.modelling.retarget import retarget

        take = retarget(take, load(args.topology))
    write_take(take, args.out, [name for name in args.format.split(",") if name])
    for note in take.notes:
        print(note)
    print(f"exported: {args.out}")


COMMAND = Command("export", "Write the fitted meshes in metres and world axes.", _add_arguments, _run)
