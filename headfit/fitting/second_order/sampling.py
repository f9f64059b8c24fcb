"""Samples of an image's pixels, equally many in each view."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_per_view(candidates: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions `[B,count]` of candidates `[B,K]` (bool), spread evenly over those of each view, and how many
    candidates a sample stands for `[B]`; 0 where there is none. Where there are fewer than `count`, some are drawn
    repeatedly.

    Args:
        candidates: what to draw from.
        count: samples of a view.
        generator: draws one candidate of each of `count` equal stretches; on the CPU.
    """
    found = candidates.nonzero()[:, 1]
    number = candidates.sum(1)
    first = number.cumsum(0) - number
    jitter = torch.rand(len(number), count, generator=generator).to(candidates.device)
    stretch = (torch.arange(count, device=candidates.device) + jitter) / count
    place = torch.minimum((stretch * number[:, None]).long(), (number - 1).clamp_min(0)[:, None]) + first[:, None]
    found = torch.cat([found, found.new_zeros(1)])
    chosen = found[place.clamp_max(len(found) - 1)]
    return chosen, number / count
