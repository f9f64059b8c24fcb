"""`headfit evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    parser.add_argument("--capture", type=Path, help="the capture, if it has moved (default: as when it was fitted)")
    parser.add_argument(
        "--region",
        action="append",
        metavar="NAME=START:STOP",
        default=[],
        help="ground-truth vertex ids to report too, STOP excluded; repeatable (default: none)",
    )


def _run(args: argparse.Namespace) -> None:
    from headfit.capture import open_capture
    from headfit.evaluate import evaluate, format_report
    from headfit.fitting.run_folder import load_run

    run = load_run(args.run)
    print(format_report(evaluate(run, open_capture(args.capture or run.args.capture), args.region)))
    print(f"\nwrote {args.run / 'metrics.json'}")


COMMAND = Command(
    "evaluate", "Score a run: PSNR (dB), SSIM, IoU per label, distances to gt/ (mm).", _add_arguments, _run
)
