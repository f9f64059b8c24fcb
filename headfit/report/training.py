"""What the TensorBoard events of a run say about its training: time and loss of each stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headfit.types import Float

PREFIX = "loss/"
TOTAL = "loss/total"
#: A step that takes this many times as long as the usual one was not computed all the time: the run was interrupted.
PAUSE = 50.0


@dataclass(frozen=True)
class StageLog:
    """One stage: its name, the `steps` that were logged, `seconds` that they took (pauses left out), and the value of
    each loss term in every one of them."""

    name: str
    steps: list[int]
    seconds: float
    losses: dict[str, Float]


def read_training(folder: Path) -> list[StageLog]:
    """The stages of a run in order, from the TensorBoard events in `folder`; empty where there are none.

    The seconds of a stage end with its last step and begin with its first one, so they hold neither the start of the
    run nor what comes between two stages.
    """
    if not folder.is_dir():
        return []
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1, "tensors": 1})
    events.Reload()
    terms: dict[str, dict[str, list]] = {}
    for tag in events.Tags()["scalars"]:
        stage, _, term = tag.removeprefix(PREFIX).partition("/")
        if tag.startswith(PREFIX) and tag != TOTAL:
            terms.setdefault(stage, {})[term] = events.Scalars(tag)
    stages = []
    for stage, logged in terms.items():
        by_step = {event.step: event.wall_time for of_term in logged.values() for event in of_term}
        steps = sorted(by_step)
        losses = {term: np.array([event.value for event in of_term]) for term, of_term in logged.items()}
        stages.append(StageLog(stage, steps, _seconds(np.array([by_step[step] for step in steps])), losses))
    return sorted(stages, key=lambda stage: stage.steps[0])


def _seconds(times: Float) -> float:
    """The time from the first to the last of `times`, without pauses."""
    took = np.diff(times)
    return float(took[took <= PAUSE * np.median(took)].sum()) if len(took) else 0.0
