"""`headfit evaluate`."""

from __future__ import annotations

import argparse

from headfit.commands.command import Command, add_run, capture_of, open_run


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser, "if it has moved (default: where it was when it was fitted)")
    parser.add_argument(
        "--region",
        action="append",
        metavar="NAME=START:STOP",
        default=[],
        help="ground-truth vertex ids to report too, STOP excluded; repeatable (default: none)",
    )


def _run(args: argparse.Namespace) -> None:
    from headfit.evaluate import evaluate, format_report

    run = open_run(args.run)
    print(format_report(evaluate(run, capture_of(run, args.capture), args.region)))
    print(f"\nwrote {args.run / 'metrics.json'}")


COMMAND = Command(
    "evaluate", "Score a run: PSNR (dB), SSIM, IoU per label, distances to gt/ (mm).", _add_arguments, _run
)
