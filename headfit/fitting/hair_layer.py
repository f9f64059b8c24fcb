"""The hair layer: a second surface over the scalp, displaced along the head's normals.

Where it is below the skin there is no hair, so the hairline is the curve in which two surfaces intersect; the edge
gradient of intersections moves it.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor, nn

from headfit.fitting.smooth_offsets import SmoothOffsets
from headfit.head import HeadModel

#: Labels of the head that hair may cover in addition to hair itself, and how far (metres) from that.
COVERABLE, REACH = ("skin", "brows", "neck"), 0.045
#: Distance (metres) that the layer keeps from the eyes.
EYE_MARGIN = 0.012
#: Heights (metres): at the layer's border, where it is always hidden; the lowest and the highest.
BORDER_HEIGHT, LOWEST, HIGHEST = -0.004, -0.006, 0.08
#: Heights at the start: rising with the distance from the model's hairline, between these.
START_SLOPE, START_LOWEST, START_HIGHEST = 0.6, -0.004, 0.005
#: Weight of the graph Laplacian in the parameterisation of the heights.
SMOOTHNESS = 10.0


class HairLayer(nn.Module):
    """Heights of the hair over the head, one field per capture.

    field `[Vh]` (metres): the unknowns; see `heights`. vertices `[Vh]`: the head's vertices below the layer. faces
    `[Fh,3]`: indices into the layer's vertices; source_faces `[Fh]`: the head's faces below them. All are empty for a
    head model without a label `hair`.
    """

    vertices: Tensor
    faces: Tensor
    source_faces: Tensor
    start: Tensor
    inside: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        faces = _covered_faces(head)
        vertices, local = torch.unique(head.faces[faces].long(), return_inverse=True)
        self.field = nn.Parameter(torch.zeros(len(vertices)))
        self.register_buffer("vertices", vertices, persistent=False)
        self.register_buffer("faces", local.to(torch.int32), persistent=False)
        self.register_buffer("source_faces", faces, persistent=False)
        self.register_buffer("start", _start_heights(head, vertices), persistent=False)
        self.register_buffer("inside", ~_is_border(local, len(vertices)), persistent=False)
        ones = torch.ones(len(vertices))
        self.smooth = SmoothOffsets(self.faces, ones, ones < 0, SMOOTHNESS) if len(vertices) else None

    @property
    def exists(self) -> bool:
        """Whether the head model says where hair grows."""
        return self.smooth is not None

    def heights(self) -> Tensor:
        """Heights `[Vh]` above the skin, metres; negative: below it, no hair."""
        assert self.smooth is not None
        heights = (self.start + self.smooth(self.field[:, None])[:, 0]).clamp(LOWEST, HIGHEST)
        return torch.where(self.inside, heights, BORDER_HEIGHT)

    def bending(self) -> Tensor:
        """Bending energy of the heights: mean squared graph Laplacian (metres^2)."""
        assert self.smooth is not None
        return self.smooth.bending(self.heights()[:, None])

    def surface(self, v_world: Tensor, normals: Tensor) -> Tensor:
        """Vertices `[B,Vh,3]` of the layer over heads `v_world [B,V,3]` with unit `normals [B,V,3]`.

        The head is detached: hair never pulls on the skull below it.
        """
        below = v_world.detach().index_select(1, self.vertices)
        return below + self.heights()[:, None] * normals.detach().index_select(1, self.vertices)


def _covered_faces(head: HeadModel) -> Tensor:
    """Indices of the head's faces that hair may cover."""
    names = [name for name in ("hair", *COVERABLE) if name in head.label_names]
    if "hair" not in names:
        return torch.zeros(0, dtype=torch.int64)
    points = head.rest()
    near = _distance(points, points[head.vertices_of("hair")]) < REACH
    eyes = [name for name in ("left_eye", "right_eye") if name in head.label_names]
    if eyes:
        near &= _distance(points, points[head.vertices_of(*eyes)]) > EYE_MARGIN
    faces = head.faces_of(*names)
    return faces[near[head.faces[faces].long()].all(1)]


def _start_heights(head: HeadModel, vertices: Tensor) -> Tensor:
    if not len(vertices):
        return torch.zeros(0)
    points = head.rest()
    is_hair = torch.zeros(len(points), dtype=torch.bool)
    is_hair[head.vertices_of("hair")] = True
    hair, bare = points[vertices[is_hair[vertices]]], points[vertices[~is_hair[vertices]]]
    if not len(bare):
        return torch.full((len(vertices),), START_HIGHEST)
    signed = _distance(points[vertices], bare) - _distance(points[vertices], hair)
    return (START_SLOPE * signed).clamp(START_LOWEST, START_HIGHEST)


def _distance(points: Tensor, others: Tensor) -> Tensor:
    """Distance of each of `points [N,3]` to the nearest of `others [M,3]`."""
    return torch.as_tensor(KDTree(others.numpy()).query(points.numpy())[0], dtype=torch.float32)


def _is_border(faces: Tensor, count: int) -> Tensor:
    """Bool `[count]`: the vertex is on an edge that only one of `faces [F,3]` has."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, uses = np.unique(edges.reshape(-1, 2), axis=0, return_counts=True)
    border = torch.zeros(count, dtype=torch.bool)
    border[torch.as_tensor(unique[uses == 1].ravel())] = True
    return border
