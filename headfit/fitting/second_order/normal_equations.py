"""The normal equations of frames, and their solution within bounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.second_order.detail_basis import DetailBasis
from headfit.fitting.second_order.motion import FrameMotion
from headfit.fitting.second_order.residuals import PointResiduals

#: Share of a diagonal entry that is added to it, so that directions that nothing determines stay put.
DAMPING = 1e-4
#: How often unknowns beyond their bounds are set to them and the others are solved for again.
ROUNDS = 4


@dataclass(frozen=True)
class NormalEquations:
    """Matrix `[P,P]` and gradient `[P]` (float64) of a quadratic cost x A x / 2 + g x of a step x."""

    matrix: Tensor
    gradient: Tensor

    @classmethod
    def of(cls, residuals: PointResiduals, motion: FrameMotion) -> NormalEquations:
        """The cost of the residuals of a frame. Weighted rows are summed in float32, in which they were computed."""
        detail = motion.detail
        if detail is not None:
            residuals, counts = detail.in_groups(residuals)
        rows = motion.rows(residuals)
        others = rows.shape[1]
        size = others + (3 * len(detail.by_detail) if detail is not None else 0)
        matrix, gradient = rows.new_zeros(size, size), rows.new_zeros(size)
        weighted = rows * residuals.weight[:, None]
        matrix[:others, :others] = weighted.T @ rows
        gradient[:others] = weighted.T @ residuals.value
        if detail is not None:
            _add_detail(matrix, gradient, residuals, counts, rows, motion, detail)
        return cls(matrix.double(), gradient.double())

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
            right = torch.where(held, step, -gradient - matrix @ fixed)
            factor, failed = torch.linalg.cholesky_ex(system)  # fails for what is not finite: so is the step then
            step = torch.cholesky_solve(right[:, None], factor)[:, 0].masked_fill(failed > 0, torch.nan)
            beyond = (step < low) | (step > high)
            step = step.clamp(low, high)
            if not (beyond & free).any():
                break
            held = held | beyond
        return step * scale


def _add_detail(
    matrix: Tensor,
    gradient: Tensor,
    residuals: PointResiduals,
    counts: list[int],
    rows: Tensor,
    motion: FrameMotion,
    detail: DetailBasis,
) -> None:
    """Add what the last unknowns, the detail's, have to do with the others and with each other, to the matrix `[P,P]`
    and gradient `[P]`.

    Args:
        matrix, gradient: changed in place.
        residuals, counts: from `DetailBasis.in_groups`.
        rows: `[N,Q]` derivatives by the other unknowns.
        motion: of the frame.
        detail: its basis.
    """
    others, start = rows.shape[1], 0
    for count, group in zip(counts, detail.groups, strict=True):
        of_group = slice(start, start + count)
        start += count
        some = residuals.chosen(of_group)
        by_detail = motion.detail_rows(some, group)
        columns = others + group.columns
        weighted = by_detail * some.weight[:, None]
        matrix[columns[:, None], columns] += weighted.T @ by_detail
        matrix[columns, :others] += weighted.T @ rows[of_group]
        gradient[columns] += weighted.T @ some.value
    # From coefficients of the functions to displacements of the control points.
    for by_coefficient in (matrix[others:], gradient[others:, None]):
        by_coefficient.copy_(_by_detail(by_coefficient, detail))
    matrix[:others, others:] = matrix[others:, :others].T
    matrix[others:, others:] = _by_detail(matrix[others:, others:].T, detail)


def _by_detail(by_coefficient: Tensor, detail: DetailBasis) -> Tensor:
    """Derivatives `[3K,N]` by the detail of what has derivatives `[3K,N]` by the functions' coefficients."""
    table = by_coefficient.unflatten(0, (-1, 3)).flatten(1)
    return (detail.by_detail.T @ table).view_as(by_coefficient)
