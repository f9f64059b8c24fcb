"""The plan of a fit: stages cut into chunks of steps. A chunk is an epoch for Lightning; checkpoints lie between."""

from __future__ import annotations

from dataclasses import dataclass

from headfit.capture.capture import Capture
from headfit.capture.data import Chunk
from headfit.fitting.config import Stage


@dataclass(frozen=True)
class PlannedChunk:
    """Steps `first .. first + steps - 1` (counted over the whole fit) of one stage."""

    stage: str
    first: int
    steps: int
    starts_stage: bool
    ends_stage: bool


class Plan:
    """All chunks of a fit in order, and each group's rate at every step.

    Args:
        stages: stages by name, in order.
        chunk_steps: most steps of a chunk.
    """

    def __init__(self, stages: dict[str, Stage], chunk_steps: int) -> None:
        self.stages = stages
        self.chunks: list[PlannedChunk] = []
        self._first: dict[str, int] = {}
        step = 0
        for name, stage in stages.items():
            self._first[name] = step
            for done in range(0, stage.steps, chunk_steps):
                steps = min(chunk_steps, stage.steps - done)
                self.chunks.append(PlannedChunk(name, step + done, steps, done == 0, done + steps == stage.steps))
            step += stage.steps
        self.steps = step

    def rate(self, stage_name: str, step: int, group: str) -> float:
        """Step length of a group at a step of a stage: constant, then falling geometrically to `decay` times that."""
        stage = self.stages[stage_name]
        share = (step - self._first[stage_name] + 1) / stage.steps
        fall = max(0.0, (share - (1 - stage.decay_share)) / max(stage.decay_share, 1e-9))
        return stage.rates.get(group, 0.0) * stage.decay**fall

    def data_chunk(self, chunk: PlannedChunk, capture: Capture) -> Chunk:
        """What the data module shall serve for a chunk."""
        stage = self.stages[chunk.stage]
        longest = max(max(camera.width, camera.height) for camera in capture.cameras)
        return Chunk(
            first_step=chunk.first,
            steps=chunk.steps,
            scale=min(1.0, stage.resolution / longest),
            frames_per_step=stage.frames_per_step,
            views_per_frame=stage.views_per_frame,
        )
