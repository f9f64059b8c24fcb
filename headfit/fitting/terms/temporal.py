"""The temporal term: what seems to have moved between neighbouring frames by less than the fit's noise stood still."""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

#: Displacement between two frames (metres) up to which it counts as noise. Much larger ones cost the same whatever
#: their size, so real motion is not held back.
NOISE = 0.5e-3
#: Only every 16th vertex is used.
STRIDE = 16


def temporal_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """`temporal_prior` of the views' frames. Neighbours that the step does not draw are computed without gradient."""
    cost = temporal_prior(o.v_frames[:, ::STRIDE], *neighbour_points(o, model))
    return cost[o.frame_of_view].mean()


def neighbour_points(o: Observation, model: FittedHead) -> tuple[Tensor, Tensor]:
    """Every `STRIDE`-th vertex `[N,2,S,3]` of the frames before and after each of the step's, without gradient, and
    bool `[N,2]`: there is such a frame, and a stage has moved it."""
    frames = sorted({frame for frame, _ in o.batch.pairs})
    beside = neighbours(frames, model.visited_frames)
    missing = sorted({other for pair in beside for other in pair if other is not None} - set(frames))
    around = o.v_frames[:, ::STRIDE].detach()
    device = around.device
    if missing:
        with torch.no_grad():
            more, _ = model.geometry(torch.tensor(missing).to(device, non_blocking=True), o.offsets)
        around = torch.cat([around, more[:, ::STRIDE]])
    row = {frame: index for index, frame in enumerate([*frames, *missing])}
    rows = [[index if other is None else row[other] for other in pair] for index, pair in enumerate(beside)]
    exists = [[other is not None for other in pair] for pair in beside]
    return (
        around[torch.tensor(rows).to(device, non_blocking=True)],
        torch.tensor(exists).to(device, non_blocking=True),
    )


def neighbours(frames: Sequence[int], known: Set[int]) -> list[tuple[int | None, int | None]]:
    """The frames before and after each of `frames`, None for one that is not `known`."""
    return [
        (before if before in known else None, after if after in known else None)
        for before, after in ((frame - 1, frame + 1) for frame in frames)
    ]


def temporal_prior(points: Tensor, neighbour: Tensor, exists: Tensor) -> Tensor:
    """Geman-McClure cost `[N]` of the steps to the neighbouring frames: d^2 / (d^2 + NOISE^2), mean over points.

    It is between 0 (nothing moves) and 1. A steady motion is pulled equally back and forth.

    Args:
        points: `[N,S,3]` of the frames, world (metres).
        neighbour: `[N,2,S,3]` the same points in the frames before and after; they get no gradient, since each frame
            is drawn in its turn.
        exists: bool `[N,2]`; others cost nothing.
    """
    square = (points[:, None] - neighbour.detach()).square().sum(-1)
    cost = (square / (square + NOISE**2)).mean(-1) * exists
    return cost.sum(1) / 2


TERM = Term("temporal", temporal_loss)
