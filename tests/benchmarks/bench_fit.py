"""Time per step of every stage of the default configuration, in milliseconds, by what is computed.

    python tests/benchmarks/bench_fit.py CAPTURE [--steps 12]

Medians of wall-clock time over the later steps of each stage. "waiting" is the time spent waiting for decoded views.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytorch_lightning as pl

from headfit.fitting.config import RunArgs
from headfit.fitting.parameters import FitParameters
from headfit.fitting.run import fit
from headfit.fitting.settings import load_config
from headfit.fitting.terms import TERMS
from headfit.render import HeadRenderer

WARM_UP = 3
#: Columns of the table: two methods, the loss terms (all priors together), and the phases of a step.
DATA_TERMS = ("mask", "photometric", "landmark", "temporal")
COLUMNS = ("head", "rasterize", *DATA_TERMS, "priors", "backward", "optimiser", "waiting", "step")


class Clock(pl.Callback):
    """Sums the time of functions and of Lightning's phases per step and stage."""

    def __init__(self) -> None:
        self.steps: dict[str, list[dict[str, float]]] = defaultdict(list)
        self.now: dict[str, float] = defaultdict(float)
        self._mark = self._end = time.perf_counter()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.now[name] += time.perf_counter() - start
            return result

        return wrapper

    def on_train_batch_start(self, *_: Any) -> None:
        self.now = defaultdict(float, waiting=time.perf_counter() - self._end)

    def on_before_backward(self, *_: Any) -> None:
        self._mark = time.perf_counter()

    def on_after_backward(self, *_: Any) -> None:
        self.now["backward"] += time.perf_counter() - self._mark
        self._mark = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, fit: Any, *_: Any) -> None:
        end = time.perf_counter()
        self.now["optimiser"] = end - self._mark
        self.now["step"] = end - self._end
        self.steps[fit.chunk.stage].append(dict(self.now))
        self._end = end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--steps", type=int, default=12, help="of every stage")
    args = parser.parse_args()
    config = load_config("configs/fit.yaml")
    planned = {name: stage.steps for name, stage in config.stages.items()}
    for stage in config.stages.values():
        stage.steps = args.steps
    config.steps_per_checkpoint = args.steps  # no other work between the steps
    clock = Clock()
    for name, owner, attribute in (("head", FitParameters, "forward"), ("rasterize", HeadRenderer, "rasterize")):
        setattr(owner, attribute, clock.timed(name, getattr(owner, attribute)))
    terms = {
        name: replace(term, loss=clock.timed(name if name in DATA_TERMS else "priors", term.loss))
        for name, term in TERMS.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        run_args = RunArgs(capture=str(args.capture.resolve()), out=f"{folder}/run")
        fit(config, run_args, terms=terms, callbacks=[clock])
    print(f"| stage | steps | {' | '.join(COLUMNS)} | stage, s |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    for name, steps in clock.steps.items():
        ms = [1000 * median(step.get(column, 0.0) for step in steps[WARM_UP:]) for column in COLUMNS]
        cells = " | ".join(f"{value:.0f}" for value in ms)
        second_order = config.stages[name].solver == "gauss_newton"  # some steps for each visit of the frames
        count = planned[name] * (len(steps) // args.steps if second_order else 1)
        print(f"| {name} | {count} | {cells} | {count * ms[-1] / 1000:.0f} |")


if __name__ == "__main__":
    main()
