"""`headfit check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")


def _run(args: argparse.Namespace) -> int:
    from headfit.capture.check import check, format_report

    report = check(args.capture)
    print(format_report(report))
    return report.exit_status


COMMAND = Command(
    "check", "Read a capture, print what it holds, and say what is wrong with which file.", _add_arguments, _run
)
