"""`headfit report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import Command, add_run, capture_of, open_run

#: A run of at most this many views is scored for its report, if it was not since its last checkpoint.
MAX_SCORED_VIEWS = 2000


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser, "if it has moved (default: where it was when it was fitted)")
    parser.add_argument("--out", type=Path, required=True, metavar="HTML", help="file to write")
    parser.add_argument("--compare", type=Path, metavar="RUN2", help="a second run, laid beside the first")


def _run(args: argparse.Namespace) -> None:
    from headfit.evaluate import evaluate
    from headfit.evaluate.health import HEALTH, report_health
    from headfit.evaluate.report import METRICS
    from headfit.evaluate.residuals import VIEWS
    from headfit.fitting.run_folder import is_current
    from headfit.report import write_report

    runs = [open_run(path) for path in (args.run, args.compare) if path]
    # The second run may be of another capture, which --capture does not mean as long as it is where it was.
    captures = [capture_of(runs[0], args.capture)]
    captures += [capture_of(run, None if Path(run.args.capture).is_dir() else args.capture) for run in runs[1:]]
    for run, capture in zip(runs, captures, strict=True):
        if not all(is_current(run.path, name) for name in (HEALTH, VIEWS)):
            report_health(run, capture)
        views = len(run.model.capture.frames) * len(run.model.capture.cameras)
        if is_current(run.path, METRICS):
            continue
        if views <= MAX_SCORED_VIEWS:
            evaluate(run, capture)
        elif (run.path / METRICS).exists():
            print(f"{run.path / METRICS}: older than the last checkpoint; `headfit evaluate {run.path}` renews it")
    write_report(runs, captures, args.out)
    print(f"wrote {args.out}")


COMMAND = Command(
    "report",
    "Write a run's report: one HTML file with scores, pictures and curves, to open offline.",
    _add_arguments,
    _run,
)
