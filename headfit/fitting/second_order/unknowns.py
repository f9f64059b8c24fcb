"""The unknowns that second-order steps move: those of a frame, and those of the person that its frames share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.parameters import FitParameters

#: The parameter groups that second-order steps move, in the order of the columns, with their names in `FitParameters`:
#: those of a frame, and those of the person.
OF_FRAME = {
    "rotation": "rotation",
    "translation": "translation",
    "expression": "expression",
    "joints": "joints_scaled",
    "detail": "detail_mm",
}
OF_PERSON = {
    "scale": "log_scale",
    "identity": "identity",
}
SOLVED = OF_FRAME | OF_PERSON


@dataclass(frozen=True)
class Columns:
    """The unknowns of one frame, one a column, and behind them those of the person.

    Args:
        parameter: for each moving group, the name of its parameter in `FitParameters`, and its columns.
        of_frame: how many columns are a frame's own.
        longest: `[P]` longest step of each unknown, in its unit.
        lowest, highest: `[P]` range of each unknown.
    """

    parameter: Mapping[str, slice]
    of_frame: int
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
        of_frame = 0
        for group, name in SOLVED.items():
            if rates.get(group, 0.0) > 0:
                row = _row(geometry, name)
                start = sum(len(part) for part in longest)
                slices[name] = slice(start, start + row.numel())
                of_frame += row.numel() if group in OF_FRAME else 0
                longest.append(torch.full_like(row, rates[group]).masked_fill(geometry.held(name), 0).flatten())
                low, high = geometry.range(name)
                lowest.append(low.expand_as(row).flatten())
                highest.append(high.expand_as(row).flatten())
        return cls(slices, of_frame, torch.cat(longest), torch.cat(lowest), torch.cat(highest))

    def __len__(self) -> int:
        return len(self.longest)

    @property
    def moves_person(self) -> bool:
        """Whether the person moves, too."""
        return self.of_frame < len(self)

    def bounds(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Least and greatest steps of unknowns `[...,P]`, given what they are."""
        lowest = torch.maximum(self.lowest - values, -self.longest)
        return lowest, torch.minimum(self.highest - values, self.longest)

    def values(self, geometry: FitParameters, frame: Tensor) -> Tensor:
        """The unknowns `[P]` of a frame `[]`."""
        return torch.cat([_row(geometry, name, frame).flatten() for name in self.parameter])

    @torch.no_grad()
    def store(self, geometry: FitParameters, frame: Tensor, values: Tensor) -> None:
        """Give a frame `[]` and the person the unknowns `values [P]`."""
        for name, columns in self.parameter.items():
            rows = getattr(geometry, name)
            if name in OF_PERSON.values():
                rows.copy_(values[columns].view_as(rows))
            else:
                rows[frame] = values[columns].to(rows.dtype).view(rows.shape[1:])


def _row(geometry: FitParameters, name: str, frame: Tensor | int = 0) -> Tensor:
    """The unknowns of a parameter for a frame."""
    values: Tensor = getattr(geometry, name).detach()
    return values if name in OF_PERSON.values() else values[frame]
