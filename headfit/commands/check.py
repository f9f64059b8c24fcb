"""`headfit check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_selection
from headfit.errors import HeadfitError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="where the views agree under another convention or unit, write capture.fixed.json, which says so, next to "
        "capture.json (default: off)",
    )
    add_selection(parser)


def _run(args: argparse.Namespace) -> int:
    from headfit.capture.check import check, format_report
    from headfit.capture.corrected import write_corrected
    from headfit.capture.selection import Selection

    if args.fix and args.cameras:
        raise HeadfitError("--fix compares all cameras, so it cannot be used with --cameras")
    report = check(args.capture, Selection(args.frames, args.cameras))
    print(format_report(report))
    if args.fix:
        written = write_corrected(args.capture, report.capture, report.evidence)
        print(f"wrote {written}: rename it to capture.json to use it" if written else "nothing that --fix can mend")
    return report.exit_status


COMMAND = Command(
    "check", "Read a capture, print what it holds, and say what is wrong with which file.", _add_arguments, _run
)
