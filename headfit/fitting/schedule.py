"""The plan of a fit: stages divided into chunks of steps. A chunk is an epoch of Lightning and ends in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headfit.capture.data import Chunk
from headfit.capture.framing import HeadWindow, framings_at
from headfit.fitting.config import Stage
from headfit.sampling import evenly_spaced


@dataclass(frozen=True)
class PlannedChunk:
    """Steps `first .. first + steps - 1` (counted from the start of the fit) of one stage, on some of the frames.

    Learning rates decay over the steps of the whole stage, or of the window: `window_first .. window_first +
    window_steps - 1`. repeat: how often the stage was done before; each time halves the rates.
    """

    stage: str
    frames: Sequence[int]
    first: int
    steps: int
    window_first: int
    window_steps: int
    starts_stage: bool = False
    ends_stage: bool = False
    repeat: int = 0

    def lr_factor(self, step: int, stage: Stage) -> float:
        """Factor of the learning rates at a step: rising to 1 (halved by each repeat), then decaying geometrically to
        `stage.decay` of that."""
        share = (step - self.window_first + 1) / self.window_steps
        rise = min(1.0, share / stage.warm_up) if stage.warm_up else 1.0
        rise *= 0.5**self.repeat
        return float(rise * stage.decay ** max(0.0, (share - (1 - stage.decay_share)) / max(stage.decay_share, 1e-9)))


class Plan:
    """All chunks of a fit, in order. A stage without frames has no chunks.

    Args:
        stages: stages by name, in order.
        chunk_steps: maximum number of steps of a chunk.
        frame_count: number of frames of the capture.
        key_frames: number of key frames among them.
    """

    def __init__(self, stages: dict[str, Stage], chunk_steps: int, frame_count: int, key_frames: int) -> None:
        self.stages = stages
        self.chunks: list[PlannedChunk] = []
        frames = range(frame_count)
        self.key = evenly_spaced(frame_count, key_frames).tolist()
        step, fitted = 0, set[int]()
        for name, stage in stages.items():
            start = len(self.chunks)
            for frames_of, steps in self._windows(stage, frames, fitted):
                for done in range(0, steps, chunk_steps):
                    chunk = PlannedChunk(name, frames_of, step + done, min(chunk_steps, steps - done), step, steps)
                    self.chunks.append(chunk)
                step += steps
            if len(self.chunks) > start:
                self.chunks[start] = replace(self.chunks[start], starts_stage=True)
                self.chunks[-1] = replace(self.chunks[-1], ends_stage=True)
            if stage.frames == "key":
                fitted.update(self.key)
        self.steps = step

    def repeat(self, stage: str) -> None:
        """Plan a stage once more, after itself and with half the learning rates; what follows comes later."""
        last = max(index for index, chunk in enumerate(self.chunks) if chunk.stage == stage)
        repeat = self.chunks[last].repeat
        whole = [chunk for chunk in self.chunks if chunk.stage == stage and chunk.repeat == repeat]
        steps = sum(chunk.steps for chunk in whole)
        again = [replace(chunk, repeat=repeat + 1) for chunk in whole]
        later = [
            replace(chunk, first=chunk.first + steps, window_first=chunk.window_first + steps)
            for chunk in [*again, *self.chunks[last + 1 :]]
        ]
        before = [*self.chunks[:last], replace(self.chunks[last], ends_stage=False)]
        self.chunks = [*before, *later]
        self.steps += steps

    def _windows(self, stage: Stage, frames: range, fitted: set[int]) -> list[tuple[Sequence[int], int]]:
        """Frames and number of steps of each window of a stage; `fitted`: the key frames fitted by earlier stages."""
        if stage.frames == "key":
            return [(self.key, stage.steps)]
        if stage.frames == "windows":
            rest = [frame for frame in frames if frame not in fitted]
            windows = np.array_split(rest, -(-len(rest) // stage.frames_per_step)) if rest else []
            return [(window.tolist(), stage.steps) for window in windows]
        if stage.frames == "each":
            of_step = min(stage.frames_per_step, len(frames))
            return [(frames, -(-stage.steps * len(frames) // of_step))] if len(fitted) < len(frames) else []
        return [(frames, stage.steps)]

    def data_chunk(self, chunk: PlannedChunk, windows: Sequence[HeadWindow]) -> Chunk:
        """The chunk as the data module needs it; `windows`: where the head is in each camera's images."""
        stage = self.stages[chunk.stage]
        return Chunk(
            first_step=chunk.first,
            steps=chunk.steps,
            framings=framings_at(windows, stage.resolution),
            frames_per_step=stage.frames_per_step,
            views_per_frame=stage.views_per_frame,
            frames=chunk.frames,
        )
