"""`headfit render`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--cameras", nargs="+", metavar="CAMERA", default=[], help="camera ids (default: all)")


def _run(args: argparse.Namespace) -> None:
    from headfit.export import render_pictures
    from headfit.fitting.run_folder import load_run

    count = render_pictures(load_run(args.run).model, args.out, args.cameras)
    print(f"rendered {count} pictures: {args.out}")


COMMAND = Command("render", "Write DIR/<camera>/<frame>.png of the fitted model.", _add_arguments, _run)
