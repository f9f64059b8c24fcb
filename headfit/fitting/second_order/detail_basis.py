"""The functions of a frame's detail by part of the surface, so that its normal equations are cheap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.parameters import DETAIL_UNIT, FitParameters
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.raster.topology import Cache, once

#: How often the control points are halved into groups. More groups have fewer functions each, but smaller products.
HALVINGS = 5


@dataclass(frozen=True)
class FunctionGroup:
    """The functions that reach a part of the surface.

    columns: `[3k]` of the coefficients (x, y, z) of its k functions among all of them.
    vertices: `[M]` of the triangles of this part, in ascending order.
    values: `[M,k]` of the functions there.
    """

    columns: Tensor
    vertices: Tensor
    values: Tensor


@dataclass(frozen=True)
class DetailBasis:
    """The functions of `FrameDetail` on the V vertices of the fine mesh, by part of the surface.

    by_detail: `[K,K]` coefficients of the functions (metres) by the detail (`detail_mm`, millimetres).
    group_of_vertex: `[V]` index into `groups`; `len(groups)` for vertices that no function moves.
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
        moved, group_of_vertex = reaches.any(1), torch.full_like(reaches[:, 0], number, dtype=torch.long)
        group_of_vertex[moved] = part[functions[moved].abs().argmax(1)]
        faces, groups = head.faces.long(), []
        for own in range(number):
            belongs = group_of_vertex == own
            around = faces[belongs[faces].any(1)].flatten()
            vertices = torch.cat([around, belongs.nonzero()[:, 0]]).unique()  # also those without a triangle
            reaching = reaches[vertices].any(0).nonzero()[:, 0]
            columns = (3 * reaching[:, None] + torch.arange(3, device=reaching.device)).flatten()
            groups.append(FunctionGroup(columns, vertices, functions[vertices[:, None], reaching]))
        return cls(between * DETAIL_UNIT, group_of_vertex, groups)

    def in_groups(self, residuals: PointResiduals) -> tuple[PointResiduals, list[int]]:
        """Residuals in order of the groups whose functions reach their triangles, behind them those of no group; and
        how many each group has."""
        number = self.group_of_vertex[residuals.corners].amin(1)
        counts = torch.bincount(number, minlength=len(self.groups))[: len(self.groups)].tolist()
        return residuals.chosen(number.argsort(stable=True)), counts


_bases: Cache[DetailBasis] = {}


def halves(points: Tensor, times: int) -> Tensor:
    """Numbers `[N]`, 0 to 2^times - 1, of equal parts into which points `[N,3]` are cut: each part across its longest
    side, some times over."""
    part = torch.zeros(len(points), dtype=torch.long, device=points.device)
    for _ in range(times):
        upper = torch.zeros_like(part)
        for number in part.unique().tolist():
            inside = (part == number).nonzero()[:, 0]
            sides = points[inside].amax(0) - points[inside].amin(0)
            in_order = inside[points[inside, sides.argmax()].argsort(stable=True)]
            upper[in_order[len(inside) // 2 :]] = 1
        part = 2 * part + upper
    return part
