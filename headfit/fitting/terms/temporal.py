"""The temporal term: what seems to have moved between neighbouring frames by less than the fit's noise stood still."""

from __future__ import annotations

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
    points = o.v_frames[:, ::STRIDE]
    cost = temporal_prior(points, *neighbour_points(o, model))
    return cost[o.frame_of_view].mean()


def neighbour_points(o: Observation, model: FittedHead) -> tuple[Tensor, Tensor]:
    """Every `STRIDE`-th vertex `[N,2,S,3]` of the frames before and after each of the step's, without gradient, and
    bool `[N,2]`: there is such a frame, and a stage has moved it."""
    neighbour, exists = neighbours(o.frames, model.visited)
    points = o.v_frames[:, ::STRIDE]
    needed, row = torch.unique(torch.cat([o.frames, neighbour.flatten()]), return_inverse=True)
    around = points.new_zeros(len(needed), *points.shape[1:])
    around[row[: len(o.frames)]] = points.detach()
    missing = model.visited[needed] & ~torch.isin(needed, o.frames)
    if missing.any():
        with torch.no_grad():
            around[missing] = model.geometry(needed[missing])[0][:, ::STRIDE]
    return around[row[len(o.frames) :].view_as(neighbour)], exists


def neighbours(frames: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The frames before and after each of `frames [N]`: indices `[N,2]`, and bool `[N,2]`: there is such a frame and it
    is `known [F]`."""
    around = torch.stack([frames - 1, frames + 1], dim=1)
    inside = (around >= 0) & (around < len(known))
    around = around.clamp(0, len(known) - 1)
    return around, inside & known[around]


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
