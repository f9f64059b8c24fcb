"""Normals and borders of triangle meshes, in numpy; vertices in any unit."""

from __future__ import annotations

import numpy as np

from headfit.types import Bool, Float, Int

#: Barycentric weights below this are zero: the point is on the opposite side of its triangle.
ON_SIDE = 1e-6


def vertex_normals(vertices: Float, faces: Int) -> Float:
    """Area-weighted unit normals `[V,3]` of vertices `[V,3]` in the mesh `faces [F,3]`; 0 for unused vertices."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], normal[:, axis], minlength=len(vertices))
    return total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-30)


def border_vertices(faces: Int, vertex_count: int) -> Bool:
    """Mask `[V]` of the vertices on edges that belong to a single one of `faces [F,3]`."""
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, uses = np.unique(sides, axis=0, return_counts=True)
    border = np.zeros(vertex_count, bool)
    border[edges[uses == 1]] = True
    return border


def on_border(border: Bool, corners: Int, bary: Float) -> Bool:
    """Mask `[N]` of the points on the border of an open surface, given as vertices `[N,3]` and weights `[N,3]`.

    Such a point, if it is the nearest one of the surface, says nothing about which side the query point is on.
    """
    absent = bary < ON_SIDE
    return np.asarray(absent.any(1) & (border[corners] | absent).all(1))
