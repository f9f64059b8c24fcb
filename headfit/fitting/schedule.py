"""The plan of a fit: stages divided into chunks of steps. A chunk is an epoch of Lightning and ends in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from headfit.capture.data import Chunk
from headfit.capture.framing import HeadWindow, framings_at
from headfit.fitting.config import Stage
from headfit.fitting.windows import INDEPENDENT, Shard, needed_windows, owned_frames
from headfit.sampling import evenly_spaced

#: What a process does of a plan; see `Plan`.
Part = Shard | Literal["person"] | None
#: Frames and number of steps of a window, and `new` and `known` of its chunks.
_Window = tuple[Sequence[int], int, Sequence[int], Sequence[int] | None]


@dataclass(frozen=True)
class PlannedChunk:
    """Steps `first .. first + steps - 1` (counted from the start of the fit) of one stage, on some of the frames.

    Learning rates decay over the steps of the whole stage, or of the window: `window_first .. window_first +
    window_steps - 1`. draw: number of the first step for the random choice of views; None: `first`. new: frames that
    start like the nearest one known. known: frames that the chunk may look at besides its own; None: all that were
    moved before. repeat: how often the stage was done before; each time halves the rates.
    """

    stage: str
    frames: Sequence[int]
    first: int
    steps: int
    window_first: int
    window_steps: int
    draw: int | None = None
    new: Sequence[int] = ()
    known: Sequence[int] | None = None
    starts_stage: bool = False
    ends_stage: bool = False
    repeat: int = 0

    @property
    def repeat_factor(self) -> float:
        """Factor by which repeats shorten the steps: each halves them."""
        return float(0.5**self.repeat)

    def draw_number(self, step: int) -> int:
        """Number of a step (counted from the start of the fit) for what it draws at random. For independent windows,
        the same in every process that fits them."""
        return step - self.first + (self.first if self.draw is None else self.draw)

    def decay_factor(self, step: int, stage: Stage) -> float:
        """Factor of the learning rates at a step: rising to 1, then decaying geometrically to `stage.decay`."""
        share = (step - self.window_first + 1) / self.window_steps
        rise = min(1.0, share / stage.warm_up) if stage.warm_up else 1.0
        return float(rise * stage.decay ** max(0.0, (share - (1 - stage.decay_share)) / max(stage.decay_share, 1e-9)))


class Plan:
    """All chunks of a fit, in order. A stage without frames has no chunks.

    Args:
        stages: stages by name, in order.
        chunk_steps: maximum number of steps of a chunk.
        frame_count: number of frames of the capture.
        key_frames: number of key frames among them.
        part: what is done of the plan: all of it (None), the stages before the first independent one ("person"), or a
            shard's share of the independent stages, which then are the last ones.
    """

    def __init__(
        self,
        stages: dict[str, Stage],
        chunk_steps: int,
        frame_count: int,
        key_frames: int,
        part: Part = None,
    ) -> None:
        self.stages = stages
        self.chunks: list[PlannedChunk] = []
        self.steps = 0
        self._chunk_steps = chunk_steps
        frames = range(frame_count)
        self.key = evenly_spaced(frame_count, key_frames).tolist()
        fitted = set[int]()
        for name, stage in stages.items():
            if stage.frames not in INDEPENDENT:
                windows = [] if isinstance(part, Shard) else self._windows(stage, frames, fitted)
                all_new = [(frames_of, steps, frames_of, None) for frames_of, steps in windows]
                self._add(name, all_new, draw_anew=stage.solver == "gauss_newton")
            if stage.frames == "key":
                fitted.update(self.key)
        #: The frames that the independent stages answer for.
        self.owned: list[int] = []
        if part != "person":
            self._add_independent([frame for frame in frames if frame not in fitted], sorted(fitted), part)

    def _add_independent(self, rest: list[int], key: list[int], shard: Shard | None) -> None:
        stages = {name: stage for name, stage in self.stages.items() if stage.frames in INDEPENDENT}
        if not stages:
            return
        self.owned = owned_frames(list(stages.values()), rest, shard or Shard(0, 1))
        needed = needed_windows(list(stages.values()), rest, self.owned)
        for number, (name, windows) in enumerate(zip(stages, needed, strict=True)):
            stage = stages[name]
            known = sorted({*key, *rest}) if stage.frames == "seams" else key
            new = [window if number == 0 else [] for window in windows]
            self._add(name, [(w, stage.steps, n, known) for w, n in zip(windows, new, strict=True)], draw_anew=True)

    def _add(self, name: str, windows: Sequence[_Window], draw_anew: bool) -> None:
        """Add the chunks of a stage. draw_anew: the views of each window are drawn as if it were the first: for
        independent windows, and so that second-order steps visit each frame equally often."""
        start = len(self.chunks)
        for frames, steps, new, known in windows:
            for done in range(0, steps, self._chunk_steps):
                first = self.steps + done
                chunk = PlannedChunk(
                    name,
                    frames,
                    first,
                    min(self._chunk_steps, steps - done),
                    self.steps,
                    steps,
                    done if draw_anew else None,
                    new,
                    known,
                )
                self.chunks.append(chunk)
                new = ()
            self.steps += steps
        if len(self.chunks) > start:
            self.chunks[start] = replace(self.chunks[start], starts_stage=True)
            self.chunks[-1] = replace(self.chunks[-1], ends_stage=True)

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

    def leave_out(self, stage: str) -> None:
        """Plan a stage no more, which has not begun."""
        gone = [index for index, chunk in enumerate(self.chunks) if chunk.stage == stage]
        if not gone:
            return
        steps = sum(self.chunks[index].steps for index in gone)
        later = [
            replace(chunk, first=chunk.first - steps, window_first=chunk.window_first - steps)
            for chunk in self.chunks[gone[-1] + 1 :]
        ]
        self.chunks = [*self.chunks[: gone[0]], *later]
        self.steps -= steps

    def _windows(self, stage: Stage, frames: range, fitted: set[int]) -> list[tuple[Sequence[int], int]]:
        """Frames and number of steps of each window of a stage; `fitted`: the key frames fitted by earlier stages."""
        if stage.frames == "key":
            of_step = min(stage.frames_per_step, len(self.key))
            rounds = -(-len(self.key) // of_step) if stage.solver == "gauss_newton" else 1
            return [(self.key, stage.steps * rounds)]
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
            first_step=chunk.draw_number(chunk.first),
            steps=chunk.steps,
            framings=framings_at(windows, stage.resolution),
            frames_per_step=stage.frames_per_step,
            views_per_frame=stage.views_per_frame,
            frames=chunk.frames,
        )
