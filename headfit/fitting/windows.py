"""Windows of frames that are fitted apart from each other: what may be computed by any process, in any order.

A stage with `frames: apart` fits each window from the key frames alone. One with `frames: seams` then fits again the
frames around each border between windows, tied to what lies on both sides. Neither looks at anything that another
window of the same stage moves, so a frame's numbers depend on few frames around it, and not on who computes which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headfit.fitting.config import Stage

#: Kinds of stages whose windows are independent of each other; see `Stage.frames`.
INDEPENDENT = ("apart", "seams")
#: Choices of `frames` whose windows are of frames that are tracked, after a person is known.
TRACKED = ("windows", *INDEPENDENT)


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` shares of a take's windows."""

    index: int
    count: int


def windows_of(stage: Stage, rest: Sequence[int]) -> list[list[int]]:
    """The windows of an independent stage over the frames `rest`, which are all but the key frames.

    apart: `stage.frames_per_step` frames at most, of nearly equal numbers. seams: a quarter of as many (rounded down)
    on each side of each border; what is between two seams stands still.
    """
    if not rest:
        return []
    windows = [part.tolist() for part in np.array_split(rest, -(-len(rest) // stage.frames_per_step))]
    if stage.frames == "apart":
        return windows
    reach = stage.frames_per_step // 4
    borders = np.cumsum([len(window) for window in windows])[:-1].tolist() if reach else []
    return [list(rest[border - reach : border + reach]) for border in borders]


def owned_frames(stages: Sequence[Stage], rest: Sequence[int], shard: Shard) -> list[int]:
    """The frames for which a shard answers: whole windows of the first independent stage."""
    windows = windows_of(stages[0], rest)
    first, stop = (len(windows) * index // shard.count for index in (shard.index, shard.index + 1))
    return [frame for window in windows[first:stop] for frame in window]


def needed_windows(stages: Sequence[Stage], rest: Sequence[int], owned: Sequence[int]) -> list[list[list[int]]]:
    """Of each independent stage the windows on which the numbers of the frames `owned` depend.

    They overlap those of the neighbouring shards by what the seams at both ends look at.
    """
    wanted, found = set(owned), []
    for stage in reversed(stages):
        windows = [window for window in windows_of(stage, rest) if wanted.intersection(window)]
        moved = {frame for window in windows for frame in window}
        # A seam is tied to the frames next to it.
        beside = {frame + step for frame in moved for step in (-1, 1)} if stage.frames == "seams" else set()
        wanted |= moved | beside & set(rest)
        found.append(windows)
    return found[::-1]
