"""What may touch but not enter each other inside a head: teeth, tongue, lips and the lining of the mouth."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from headfit.head import HeadModel
from headfit.render.geometry import VertexNormals
from headfit.sampling import evenly_spaced

#: Most vertices of a part that are looked at: enough for a point every two millimetres or so.
MAX_POINTS, MAX_SURFACE = 150, 500
#: A point farther than this (metres) from the nearest vertex of a surface is not at it.
REACH = 0.006
#: Depth (metres) that is allowed: flesh yields, and a vertex's tangent plane is not the surface.
TOLERANCE = 2e-4
JAWS = ("upper", "lower")


class MouthContact(nn.Module):
    """Measures how deep the inner parts of a head are in each other.

    Each pair is a set of points (vertices of one part) and a surface (vertices of another, with normals that face the
    air). A point is behind the surface if it is behind the tangent plane of the surface's nearest vertex and faces the
    other way: next to a thin lip, the nearest vertex can be on its far side. Points that are behind it in the mean head
    at rest, such as the roots of the teeth and of the tongue, are left out.

    Args:
        head: the head model; parts that it lacks make no pairs.
        normals_of: computes its vertex normals.
    """

    def __init__(self, head: HeadModel, normals_of: VertexNormals) -> None:
        super().__init__()
        self.count = 0
        rest = head.rest()[None]
        normals = normals_of(rest)
        for points, surface in _pairs(head):
            if not len(points) or not len(surface):
                continue
            surface = _thinned(surface, MAX_SURFACE)
            outside = _depth(rest, normals, points, surface, reach=torch.inf)[0] == 0
            self.register_buffer(f"points{self.count}", _thinned(points[outside], MAX_POINTS), persistent=False)
            self.register_buffer(f"surface{self.count}", surface, persistent=False)
            self.count += 1

    def forward(self, vertices: Tensor, normals: Tensor) -> Tensor:
        """Depths `[N,P]` (metres, 0 outside) of all pairs' points in heads `vertices [N,V,3]` with unit vertex
        `normals [N,V,3]`; differentiable in the vertices."""
        depths = [_depth(vertices, normals.detach(), points, surface) for points, surface in self._indices()]
        return torch.cat(depths, dim=1) if depths else vertices.new_zeros(len(vertices), 0)

    def _indices(self) -> Iterator[tuple[Tensor, Tensor]]:
        for pair in range(self.count):
            yield self.get_buffer(f"points{pair}"), self.get_buffer(f"surface{pair}")


def _depth(vertices: Tensor, normals: Tensor, points: Tensor, surface: Tensor, reach: float = REACH) -> Tensor:
    """Depths `[N,P]` of the vertices `points [P]` of heads `vertices [N,V,3]` behind the tangent planes of the nearest
    of the vertices `surface [S]`, beyond `TOLERANCE`; 0 for points farther than `reach` or with a like normal."""
    of_points, of_surface = vertices[:, points], vertices[:, surface]
    with torch.no_grad():
        distance, nearest = torch.cdist(of_points, of_surface).min(2)
        index = nearest[..., None].expand(-1, -1, 3)
        normal = normals[:, surface].gather(1, index)
        opposed = (normals[:, points] * normal).sum(-1) < 0
    behind = ((of_surface.gather(1, index) - of_points) * normal).sum(-1)
    return (behind - TOLERANCE).clamp_min(0) * ((distance < reach) & opposed)


def _pairs(head: HeadModel) -> Iterator[tuple[Tensor, Tensor]]:
    """Points and surface of every pair, as vertex indices."""
    flesh = head.vertices_of("mouth_cavity", "upper_lip", "lower_lip", "lips")
    teeth = {jaw: head.vertices_of(f"{jaw}_teeth") for jaw in JAWS}
    tongue = head.vertices_of("tongue")
    yield torch.cat(list(teeth.values())), flesh
    yield tongue, flesh
    yield tongue, head.vertices_of("upper_teeth", "lower_teeth", "gums")
    lips = {jaw: head.vertices_of(f"{jaw}_lip") for jaw in JAWS}
    for one, other in (JAWS, JAWS[::-1]):
        yield teeth[one], teeth[other]
        yield lips[one], lips[other]


def _thinned(indices: Tensor, count: int) -> Tensor:
    return indices[torch.from_numpy(evenly_spaced(len(indices), count))]
