"""What a report says about a run, gathered from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headfit.evaluate.health import HEALTH
from headfit.evaluate.report import METRICS
from headfit.evaluate.residuals import VIEWS
from headfit.files import read_json
from headfit.fitting.run_folder import ENVIRONMENT, TENSORBOARD, Run, is_current
from headfit.report.training import StageLog, read_training
from headfit.types import Float


@dataclass(frozen=True)
class RunFacts:
    """A run, and what its folder holds besides the checkpoint.

    Args:
        name: what the report calls the run.
        is_compared: whether the report has a second run.
        run: the fitted head and the settings.
        health: content of health.json.
        views: columns of views.json, see `ViewResiduals.save`.
        scores: content of metrics.json; empty when the run was not scored.
        has_old_scores: whether these are of an earlier state of the fit than its last checkpoint.
        environment: versions and the state of the source tree.
        stages: what TensorBoard's events say of the stages.
    """

    name: str
    is_compared: bool
    run: Run
    health: dict[str, Any]
    views: dict[str, list[Any]]
    scores: dict[str, Any]
    has_old_scores: bool
    environment: dict[str, Any]
    stages: list[StageLog]

    @classmethod
    def read(cls, run: Run, name: str, is_compared: bool) -> RunFacts:
        """The facts of a run whose health was examined. Raises HeadfitError naming a file that is not JSON; OSError."""
        return cls(
            name=name,
            is_compared=is_compared,
            run=run,
            health=read_json(run.path / HEALTH),
            views=read_json(run.path / VIEWS),
            scores=_read_if_there(run.path / METRICS),
            has_old_scores=(run.path / METRICS).exists() and not is_current(run.path, METRICS),
            environment=_read_if_there(run.path / ENVIRONMENT),
            stages=read_training(run.path / TENSORBOARD),
        )

    @property
    def frames(self) -> list[str]:
        """The names of the fitted frames."""
        return self.run.model.capture.frames

    @cached_property
    def cameras(self) -> list[str]:
        """The ids of the cameras."""
        return [camera.id for camera in self.run.model.capture.cameras]

    @property
    def held_out(self) -> list[str]:
        """The ids of the cameras that training did not see."""
        return self.run.model.config.hold_out

    def titled(self, what: str) -> str:
        """The title of a picture or list of this run: with its name, where there is another run beside it."""
        return f"{self.name}: {what}" if self.is_compared else what

    def residual(self, column: str) -> Float:
        """A column of views.json, NaN where nothing is known."""
        return np.array(self.views[column], dtype=np.float64)

    def by_frame(self, column: str, reduce: Callable[[Float], Any], frames: list[str]) -> Float:
        """A column reduced over the views of each of `frames`; NaN for a frame without values."""
        return self._reduced(column, "frame", reduce, frames)

    def by_camera(self, column: str, cameras: list[str]) -> Float:
        """The median of a column over the views of each of `cameras`; NaN for one without values."""
        return self._reduced(column, "camera", np.median, cameras)

    def _reduced(self, column: str, key: str, reduce: Callable[[Float], Any], names: list[str]) -> Float:
        groups: dict[str, list[float]] = {}
        for name, value in zip(self.views[key], self.views[column], strict=True):
            if value is not None:
                groups.setdefault(name, []).append(value)
        return np.array([reduce(np.array(groups[name])) if name in groups else np.nan for name in names])

    def camera_score(self, camera: str, score: str) -> float:
        """A score of one camera from metrics.json; NaN where it has none."""
        for kind in self.scores.get("pictures", {}).values():
            value = kind.get("cameras", {}).get(camera, {}).get(score)
            if value is not None:
                return float(value)
        return float("nan")


def old_scores(runs: Sequence[RunFacts]) -> list[str]:
    """What to say wherever scores are shown: which runs have old ones."""
    return [
        f"{facts.name}: the scores ({METRICS}) are older than the last checkpoint and not those of this fit. "
        "Run `headfit evaluate` on the run, then make the report again."
        for facts in runs
        if facts.has_old_scores
    ]


def _read_if_there(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path) if path.exists() else {}
    return content
