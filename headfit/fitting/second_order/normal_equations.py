"""The normal equations of frames, and their solution within bounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.second_order.motion import FrameMotion
from headfit.fitting.second_order.residuals import PointResiduals

#: Share of a diagonal entry that is added to it, so that directions that nothing determines stay put.
DAMPING = 1e-4
#: Rows of a symmetric product that are computed together.
SLAB = 192
#: How often unknowns beyond their bounds are set to them and the others are solved for again.
ROUNDS = 4


@dataclass(frozen=True)
class NormalEquations:
    """Matrix `[P,P]` and gradient `[P]` (float64) of a quadratic cost x A x / 2 + g x of a frame's step x."""

    matrix: Tensor
    gradient: Tensor

    @classmethod
    def of(cls, residuals: PointResiduals, motion: FrameMotion) -> NormalEquations:
        """The cost of the residuals of a frame. Weighted rows are summed in float32, in which they were computed."""
        rows = motion.rows(residuals)
        weighted = rows * residuals.weight[:, None]
        return cls(_symmetric_product(weighted, rows).double(), (weighted.T @ residuals.value).double())

    def add_diagonal(self, columns: slice, curvature: Tensor, gradient: Tensor) -> None:
        """Add a cost of each single unknown: second and first derivatives `[K]` for a slice of K columns."""
        self.matrix.diagonal()[columns] += curvature
        self.gradient[columns] += gradient

    def solve(self, lowest: Tensor, highest: Tensor) -> Tensor:
        """The step `[P]` of least cost between bounds `[P]`: unknowns that would leave them are held there while the
        others are solved for again, so the others make up for it."""
        # Unknowns have different units; scaled, each has a diagonal of 1.
        scale = self.matrix.diagonal().clamp_min(1e-30).rsqrt()
        matrix = self.matrix * scale[:, None] * scale + DAMPING * torch.eye(len(scale)).to(scale)
        gradient = self.gradient * scale
        low, high = lowest.to(scale) / scale, highest.to(scale) / scale
        step, held = torch.zeros_like(gradient), low >= high
        for _ in range(ROUNDS):
            fixed = torch.where(held, step, 0.0)
            free = ~held
            system = torch.where(free[:, None] & free, matrix, torch.diag(held.to(matrix)))
            step = torch.linalg.solve(system, torch.where(held, step, -gradient - matrix @ fixed))
            beyond = (step < low) | (step > high)
            step = step.clamp(low, high)
            if not (beyond & free).any():
                break
            held = held | beyond
        return step * scale


def _symmetric_product(left: Tensor, right: Tensor) -> Tensor:
    """`left.T @ right` `[P,P]` of matrices `[N,P]` for which it is symmetric, from its upper part."""
    upper = right.new_zeros(right.shape[1], right.shape[1])
    for start in range(0, len(upper), SLAB):
        upper[start : start + SLAB, start:] = left[:, start : start + SLAB].T @ right[:, start:]
    return upper.triu() + upper.triu(1).T
