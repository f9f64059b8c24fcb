"""Neighbouring frames of a video belong together: what seems to have moved by less than the fit's noise stood still."""

from __future__ import annotations

import torch
from torch import Tensor

#: Displacement between two frames (metres) up to which it counts as noise. Much larger ones cost the same whatever
#: their size, so what really moves is not held back.
NOISE = 0.5e-3
#: Every how manieth vertex is looked at.
STRIDE = 16


def neighbours(frames: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The frames before and after each of `frames [N]`: indices `[N,2]`, and bool `[N,2]`: there is such a frame and it
    is `known [F]`."""
    beside = torch.stack([frames - 1, frames + 1], dim=1)
    inside = (beside >= 0) & (beside < len(known))
    beside = beside.clamp(0, len(known) - 1)
    return beside, inside & known[beside]


def temporal_prior(points: Tensor, beside: Tensor, there: Tensor) -> Tensor:
    """Geman-McClure cost `[N]` of the steps between neighbouring frames: d^2 / (d^2 + NOISE^2), mean over points.

    It is between 0 (all stands still) and 1. A movement that goes on evenly is pulled back and forward alike.

    Args:
        points: `[N,S,3]` of the frames, world (metres).
        beside: `[N,2,S,3]` the same points in the frames before and after; they get no gradient, as their own turn
            comes.
        there: bool `[N,2]`; others cost nothing.
    """
    square = (points[:, None] - beside.detach()).square().sum(-1)
    cost = (square / (square + NOISE**2)).mean(-1) * there
    return cost.sum(1) / 2
