"""`headfit view`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, whole_number


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="RUN|CAPTURE", help="run folder of `headfit fit`, or a capture")
    parser.add_argument(
        "--capture",
        type=Path,
        metavar="CAPTURE",
        help="the capture of a run, if it has moved (default: where it was when it was fitted)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0: from other machines too")
    parser.add_argument("--port", type=whole_number(1), default=8080, help="port to listen at, or the next free one")


def _run(args: argparse.Namespace) -> None:
    from headfit.view.serve import open_page, serve

    page = open_page(args.path, args.capture, args.host, args.port)
    print(f"{page.address}  (Ctrl-C ends)", flush=True)
    serve(page)


COMMAND = Command("view", "Look at a run or a capture in the browser.", _add_arguments, _run)
