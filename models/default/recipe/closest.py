"""Closest points on a triangle mesh."""

import numpy as np
from scipy.spatial import cKDTree

TIE = 1e-9  # metres
CANDIDATES = 60  # triangles tested per point, nearest centroids first


def closest_on_mesh(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face `[N]` and barycentric coordinates `[N,3]` of the surface point closest to each of `points [N,3]`."""
    corners = vertices[faces]
    _, near = cKDTree(corners.mean(1)).query(points, k=min(CANDIDATES, len(faces)))
    bary = _closest_bary(points[:, None], corners[near])
    distance = np.linalg.norm((bary[..., None] * corners[near]).sum(-2) - points[:, None], axis=-1)
    # A point on an edge is equally close to two faces: take the lower index, so that rounding does not decide.
    near_enough = distance <= distance.min(1, keepdims=True) + TIE
    best = np.where(near_enough, near, len(faces)).argmin(1)
    rows = np.arange(len(points))
    return near[rows, best], bary[rows, best]


def _closest_bary(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of the point of each triangle `[...,3,3]` closest to `points [...,3]` (broadcast)."""
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    det = np.maximum(d00 * d11 - d01**2, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    inside = np.stack([1 - v - w, v, w], -1)
    options = [inside]
    for i in range(3):  # the closest point of each edge
        p, q = corners[..., i, :], corners[..., (i + 1) % 3, :]
        t = (((points - p) * (q - p)).sum(-1) / np.maximum(((q - p) ** 2).sum(-1), 1e-30)).clip(0, 1)
        side = np.zeros_like(inside)
        side[..., i], side[..., (i + 1) % 3] = 1 - t, t
        options.append(side)
    stack = np.stack(options)
    gap = np.linalg.norm((stack[..., None] * corners).sum(-2) - points, axis=-1)
    gap[0][(inside < 0).any(-1)] = np.inf
    return np.take_along_axis(stack, gap.argmin(0)[None, ..., None], 0)[0]
