"""The functions of a frame's detail by part of the surface, so that its normal equations are cheap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.parameters import DETAIL_UNIT, FitParameters
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.raster.topology import Cache, once

#: Groups of control points: halvings of all of them. More have fewer functions each, but smaller products.
HALVINGS = 5


@dataclass(frozen=True)
class FunctionGroup:
    """The functions that reach a part of the surface.

    columns: `[3k]` of the coefficients (x, y, z) of its k functions among all of them.
    vertices: `[M]` of the triangles of this part, in ascending order.
    values: `[M,k]` of the functions there, metres.
    """

    columns: Tensor
    vertices: Tensor
    values: Tensor


@dataclass(frozen=True)
class DetailBasis:
    """The functions of `FrameDetail` on the V vertices of the fine mesh, by part of the surface.

    by_detail: `[K,K]` coefficients of the functions by the detail (`detail_mm`).
    group_of_vertex: `[V]` index into `groups`; their number for vertices that no function moves.
    groups: the functions by part of the surface.
    """

    by_detail: Tensor
    group_of_vertex: Tensor
    groups: list[FunctionGroup]

    @classmethod
    def of(cls, geometry: FitParameters) -> DetailBasis:
        """The basis of a head's detail, made once."""
        return once(geometry.frame_detail.between, _bases, lambda between: cls._make(geometry, between))

    @classmethod
    @torch.no_grad()
    def _make(cls, geometry: FitParameters, between: Tensor) -> DetailBasis:
        head, detail = geometry.head, geometry.frame_detail
        functions = head.subdivided(detail.functions.times_wide(torch.eye(len(between)).to(between)))
        reaches = functions != 0
        part, number = halves(head.mean[detail.control_points], HALVINGS), 2**HALVINGS
        group_of_vertex = torch.where(reaches.any(1), part[functions.abs().argmax(1)], number)
        faces, groups = head.faces.long(), []
        for own in range(number):
            vertices = faces[(group_of_vertex[faces] == own).any(1)].unique()
            reaching = reaches[vertices].any(0).nonzero()[:, 0]
            columns = (3 * reaching[:, None] + torch.arange(3, device=reaching.device)).flatten()
            groups.append(FunctionGroup(columns, vertices, functions[vertices[:, None], reaching]))
        return cls(between * DETAIL_UNIT, group_of_vertex, groups)

    def in_groups(self, residuals: PointResiduals) -> tuple[PointResiduals, list[int]]:
        """Residuals in order of the groups whose functions reach their triangles, behind them those of no group; and
        how many each group has."""
        number = self.group_of_vertex[residuals.corners[:, 0]]
        counts = torch.bincount(number, minlength=len(self.groups))[: len(self.groups)].tolist()
        return residuals.chosen(number.argsort(stable=True)), counts


_bases: Cache[DetailBasis] = {}


def halves(points: Tensor, times: int) -> Tensor:
    """Numbers `[N]`, 0 to 2^times - 1, of equal parts into which points `[N,3]` are cut: each part across its longest
    side, some times over."""
    part = torch.zeros(len(points), dtype=torch.long, device=points.device)
    for time in range(times):
        upper = torch.zeros_like(part)
        for number in range(2**time):
            inside = (part == number).nonzero()[:, 0]
            sides = points[inside].amax(0) - points[inside].amin(0)
            in_order = inside[points[inside, sides.argmax()].argsort(stable=True)]
            upper[in_order[len(inside) // 2 :]] = 1
        part = 2 * part + upper
    return part
