"""Which views a training step uses: a pure function of the seed and the step.

No state is carried from step to step, so a resumed run draws exactly what an uninterrupted one draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from headfit.capture.views import Pair


class _Stream(IntEnum):
    """Independent streams of random numbers for one seed."""

    FRAMES = 1
    CAMERAS = 2


class ViewSampler:
    """Draws views so that every frame and every camera is drawn once before any is drawn again.

    Args:
        frames: number of frames.
        cameras: indices of the cameras to draw from.
        seed: it and the step alone decide what is drawn.
    """

    def __init__(self, frames: int, cameras: Sequence[int], seed: int):
        self._frames = frames
        self._cameras = list(cameras)
        self._seed = seed

    def sample_views(
        self, step: int, frames_per_step: int, views_per_frame: int, frames: Sequence[int] | None = None
    ) -> list[Pair]:
        """The views of a step: distinct frames, each with distinct cameras; fewer where there are not enough.

        Frames are drawn in rounds: a round is one permutation of them, cut into steps. When the numbers do not divide,
        the last step is filled up from the start of the permutation. The cameras of each frame are drawn the same way.

        Args:
            step: number of the training step.
            frames_per_step: frames to draw.
            views_per_frame: cameras to draw for each of them.
            frames: indices to draw from; default: all.
        """
        frames = range(self._frames) if frames is None else frames
        views = []
        for index, is_filler in self._draw((_Stream.FRAMES, 0), len(frames), frames_per_step, step):
            frame = frames[index]
            # A frame is drawn once per round, so the round counts its visits. Fillers are counted separately.
            round_of_frames = step // _draws_per_round(len(frames), frames_per_step)
            key = (_Stream.CAMERAS, 0, frame, int(is_filler))
            drawn = self._draw(key, len(self._cameras), views_per_frame, round_of_frames)
            views += [(frame, self._cameras[camera]) for camera, _ in drawn]
        return views

    def _draw(self, key: tuple[int, ...], total: int, count: int, turn: int) -> list[tuple[int, bool]]:
        """Draw number `turn` of `count` distinct indices below `total`: (index, whether it is a filler)."""
        past_rounds, position = divmod(turn, _draws_per_round(total, count))
        count = min(count, total)
        order = self._shuffle(key, past_rounds, total)
        places = range(position * count, (position + 1) * count)
        return [(order[place % total], place >= total) for place in places]

    def _shuffle(self, key: tuple[int, ...], round_index: int, total: int) -> list[int]:
        generator = np.random.default_rng((self._seed, *key, round_index))
        order: list[int] = generator.permutation(total).tolist()
        return order


def share_of(views: list[Pair], rank: int, processes: int) -> list[Pair]:
    """The consecutive views of process `rank`; the numbers of two processes differ by one at most."""
    return views[len(views) * rank // processes : len(views) * (rank + 1) // processes]


def _draws_per_round(total: int, count: int) -> int:
    return -(-total // min(count, total))
