"""The unknowns of a frame that second-order steps move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.parameters import FitParameters

#: The parameter groups that second-order steps move, in the order of the columns; with their names in `FitParameters`.
SOLVED = {
    "rotation": "rotation",
    "translation": "translation",
    "expression": "expression",
    "joints": "joints_scaled",
    "detail": "detail_mm",
}


@dataclass(frozen=True)
class Columns:
    """The unknowns of one frame, one a column.

    Args:
        parameter: for each moving group, the name of its parameter in `FitParameters`, and its first column.
        longest: `[P]` longest step of each unknown, in its unit.
        lowest, highest: `[P]` range of each unknown.
    """

    parameter: Mapping[str, slice]
    longest: Tensor
    lowest: Tensor
    highest: Tensor

    @classmethod
    def of(cls, geometry: FitParameters, rates: Mapping[str, float]) -> Columns:
        """The unknowns of the groups that have a rate, which is their longest step; 0 where they are held."""
        slices: dict[str, slice] = {}
        longest: list[Tensor] = []
        lowest: list[Tensor] = []
        highest: list[Tensor] = []
        for group, name in SOLVED.items():
            if rates.get(group, 0.0) > 0:
                row = getattr(geometry, name)[0]
                start = sum(len(part) for part in longest)
                slices[name] = slice(start, start + row.numel())
                longest.append(torch.full_like(row, rates[group]).masked_fill(geometry.held(name), 0).flatten())
                low, high = geometry.range(name)
                lowest.append(low.flatten())
                highest.append(high.flatten())
        return cls(slices, torch.cat(longest), torch.cat(lowest), torch.cat(highest))

    def __len__(self) -> int:
        return len(self.longest)

    def values(self, geometry: FitParameters, frame: Tensor) -> Tensor:
        """The unknowns `[P]` of a frame `[]`."""
        return torch.cat([getattr(geometry, name).detach()[frame].flatten() for name in self.parameter])

    @torch.no_grad()
    def store(self, geometry: FitParameters, frame: Tensor, values: Tensor) -> None:
        """Give a frame `[]` the unknowns `values [P]`."""
        for name, columns in self.parameter.items():
            rows = getattr(geometry, name)
            rows[frame] = values[columns].to(rows.dtype).view(rows.shape[1:])
