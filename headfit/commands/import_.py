"""`headfit import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_selection, size


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: expected a positive number")
    return value


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "layout", nargs="?", default="auto", metavar="LAYOUT", help="name of the layout (data/README.md lists them)"
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of the recording, or its calibration file")
    parser.add_argument("--out", type=Path, required=True, metavar="CAPTURE", help="capture folder to write")
    parser.add_argument("--layout", dest="named", metavar="LAYOUT", help="the same as LAYOUT (default: auto)")
    parser.add_argument(
        "--size",
        type=size,
        metavar="WIDTHxHEIGHT",
        help="size of the pictures, pixels, where neither the calibration nor a picture says it (default: not given)",
    )
    parser.add_argument(
        "--scale", type=_positive, help="metres per unit of the recording's coordinates (default: as the layout has it)"
    )
    parser.add_argument(
        "--focal", type=_positive, help="focal length in pixels, for a file with poses only (default: not given)"
    )
    parser.add_argument(
        "--images",
        metavar="PATTERN",
        help="where the pictures or videos are, relative to SOURCE, with {camera} and {frame} (default: where the "
        "layout has them)",
    )
    parser.add_argument("--subject", help="the subject, where SOURCE has several (default: the only one)")
    parser.add_argument("--sequence", help="the sequence, where SOURCE has several (default: the only one)")
    add_selection(parser)


def _run(args: argparse.Namespace) -> None:
    from headfit.capture.layouts import LAYOUTS
    from headfit.capture.layouts.importing import import_recording
    from headfit.capture.layouts.options import ImportOptions
    from headfit.capture.selection import Selection
    from headfit.errors import HeadfitError

    layout = args.named or args.layout
    if layout not in ("auto", *LAYOUTS):
        raise HeadfitError(f"unknown layout {layout!r}; the layouts are auto, {', '.join(LAYOUTS)}")
    options = ImportOptions(
        size=args.size,
        scale=args.scale,
        images=args.images,
        subject=args.subject,
        sequence=args.sequence,
        selection=Selection(args.frames, args.cameras),
        focal=args.focal,
    )
    name, check = import_recording(layout, args.source, args.out, options)
    print(f"{args.source}: {name}")
    for what, found in check.rows:
        print(f"  {what:<12}  {found}")
    for title, sentences in (("notes", options.notes), ("warnings", check.warnings)):
        if sentences:
            print(f"{title} ({len(sentences)}):", *sentences, sep="\n  ")
    print(f"wrote {args.out / 'capture.json'}")


COMMAND = Command(
    "import",
    "Write a capture.json for a recording in another layout, and check its cameras. Nothing is copied.",
    _add_arguments,
    _run,
)
