"""Where the time of a fit goes: milliseconds a step of every stage of the default configuration, by what is computed.

    python tests/benchmarks/bench_fit.py CAPTURE [--steps 12]

Medians of wall time over the later steps of each stage. "waiting" is what a step waits for decoded views.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytorch_lightning as pl

from headfit.fitting import module, run
from headfit.fitting.config import load_config
from headfit.fitting.parameters import FitParameters
from headfit.render import HeadRenderer

WARM_UP = 3
#: Methods that are timed, by what the table calls them.
TIMED = {
    "head": (FitParameters, "forward"),
    "crop": (module, "crop_to_head"),
    "visibility": (HeadRenderer, "see"),
    "masks": (module.HeadFit, "_mask_term"),
    "colours": (module.HeadFit, "_photometric_term"),
    "landmarks": (module.HeadFit, "_landmark_term"),
    "priors": (module.HeadFit, "_priors"),
}
COLUMNS = (*TIMED, "backward", "optimiser", "waiting", "step")


class Clock(pl.Callback):
    """Adds up, per step and stage, what the timed methods and Lightning's phases take."""

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
        self.steps[fit.stage_name].append(dict(self.now))
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
    config.steps_per_checkpoint = args.steps  # nothing but steps between
    clock = Clock()
    for name, (owner, attribute) in TIMED.items():
        setattr(owner, attribute, clock.timed(name, getattr(owner, attribute)))
    config.capture = str(args.capture.resolve())
    run.StageProgress = lambda: clock  # type: ignore[assignment, misc]
    with tempfile.TemporaryDirectory() as folder:
        config.out = f"{folder}/run"
        run.fit(config)
    print(f"| stage | steps | {' | '.join(COLUMNS)} | stage, s |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    for name, steps in clock.steps.items():
        ms = [1000 * median(step.get(column, 0.0) for step in steps[WARM_UP:]) for column in COLUMNS]
        cells = " | ".join(f"{value:.0f}" for value in ms)
        print(f"| {name} | {planned[name]} | {cells} | {planned[name] * ms[-1] / 1000:.0f} |")


if __name__ == "__main__":
    main()
