"""A texture in the layout of another mesh that is in the same place."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree

from headfit.export.topology import MeshTopology
from headfit.modelling.registration.matching import kinds_of
from headfit.raster import rasterize
from headfit.types import Bool, Float, Text


def rebake(ours: MeshTopology, v_ours: Float, texture: np.ndarray, theirs: MeshTopology, v_theirs: Float) -> np.ndarray:
    """The texture `[T,T,3]` uint8 in the layout of `theirs`: each texel has the colour of our texel of the same kind of
    surface (skin, tongue, ...) that is nearest to it in space, and around the charts that of the nearest texel inside.
    A kind that we lack has that of our nearest texel of any kind.

    Args:
        ours: the textured mesh.
        v_ours: its vertices `[V,3]`.
        texture: its texture `[T,T,3]` uint8, row 0 is v = 1.
        theirs: the other mesh.
        v_theirs: its vertices `[W,3]`, in the same place.
    """
    inside, points, own_kinds = _texel_points(ours, v_ours, len(texture))
    covered, wanted, kinds = _texel_points(theirs, v_theirs, len(texture))
    colours, found = texture[inside], np.zeros((len(wanted), 3), np.uint8)
    for kind in np.unique(kinds):
        same = own_kinds == kind if (own_kinds == kind).any() else np.ones(len(points), bool)
        here = kinds == kind
        found[here] = colours[same][KDTree(points[same]).query(wanted[here])[1]]
    baked = np.zeros_like(texture)
    baked[covered] = found
    places = np.argwhere(covered)
    if len(places):
        baked[~covered] = baked[tuple(places[KDTree(places).query(np.argwhere(~covered))[1]].T)]
    return baked


def _texel_points(mesh: MeshTopology, vertices: Float, size: int) -> tuple[Bool, Float, Text]:
    """Bool `[T,T]`: the texel's centre is in a face; the surface points `[N,3]` of those texels, and their kinds `[N]`
    of surface."""
    uvs = np.column_stack([mesh.uvs * [size, -size] + [0, size], np.ones(len(mesh.uvs))])
    index, bary, _ = rasterize(torch.from_numpy(uvs).float()[None], torch.from_numpy(mesh.faces_uv), (size, size))
    covered = index[0].numpy() >= 0
    faces = index[0].numpy()[covered]
    points = np.einsum("nk,nkd->nd", bary[0].numpy()[covered].astype(np.float64), vertices[mesh.faces[faces]])
    return covered, points, kinds_of(mesh.label_names[mesh.face_labels[faces]])
