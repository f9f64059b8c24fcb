"""Exact distances from points to the surface of a triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.spatial import KDTree

_CHUNK = 4096  # points per batch: bounds the memory of the candidate lists to some tens of MB


@dataclass(frozen=True)
class ClosestPoints:
    """Closest points of N points: distance `[N]` (unit of the mesh), face `[N]` int64, barycentric `bary [N,3]`."""

    distance: np.ndarray
    face: np.ndarray
    bary: np.ndarray


def _segment_parameter(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Parameter in [0, 1] of the point on the segment from `start` to `end` closest to each point. All `[N,3]`."""
    along = end - start
    length2 = np.einsum("ij,ij->i", along, along)
    parameter = np.einsum("ij,ij->i", points - start, along) / np.where(length2 > 0, length2, 1)
    return np.clip(parameter, 0, 1)


def closest_on_triangle(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance `[N]` and barycentric coordinates `[N,3]` of the closest point on one triangle per point.

    The closest point is the foot of the perpendicular if that is inside the triangle, else the closest of the three
    edges' closest points. A degenerate triangle has no inside, so the result is on its edges.

    Args:
        points: `[N,3]`.
        corners: `[N,3,3]` corners of the triangle of each point.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    # Foot point a + v (b-a) + w (c-a) from the 2x2 normal equations.
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (np.einsum("ij,ij->i", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = (np.einsum("ij,ij->i", ap, x) for x in (ab, ac))
    area2 = d00 * d11 - d01 * d01
    solid = area2 > 1e-14 * d00 * d11
    scale = np.where(solid, area2, 1)
    v, w = (d11 * d20 - d01 * d21) / scale, (d00 * d21 - d01 * d20) / scale
    inside = solid & (v >= 0) & (w >= 0) & (v + w <= 1)

    options = np.zeros((4, len(points), 3))
    options[0] = np.stack([1 - v - w, v, w], axis=-1)
    for edge, (i, j) in enumerate(((0, 1), (1, 2), (2, 0))):
        parameter = _segment_parameter(points, corners[:, i], corners[:, j])
        options[edge + 1, :, i] = 1 - parameter
        options[edge + 1, :, j] = parameter
    feet = np.einsum("onk,nkd->ond", options, corners)
    distance = np.linalg.norm(feet - points, axis=-1)
    distance[0] = np.where(inside, distance[0], np.inf)
    best = distance.argmin(axis=0)
    row = np.arange(len(points))
    return distance[best, row], options[best, row]


class SurfaceDistance:
    """Finds exact closest points on a triangle mesh.

    The bounding ball of a triangle is centred at its centroid and reaches to its farthest corner. The exact distance to
    the triangle of the nearest centroid is an upper bound; only triangles with a ball within that bound can be closer,
    and all of those are tested. There is one KD-tree per class of radius, so that a few large triangles do not widen
    the search among small ones.

    Args:
        vertices: `[V,3]` in any unit.
        faces: `[F,3]`, at least one.

    Raises:
        ValueError: there are no faces.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        if len(faces) == 0:
            raise ValueError("a surface needs at least one face")
        self._corners = np.asarray(vertices, dtype=np.float64)[faces]
        self._centroids = self._corners.mean(axis=1)
        self._radii = np.linalg.norm(self._corners - self._centroids[:, None], axis=-1).max(axis=1)
        size_class = np.ceil(np.log2(np.maximum(self._radii, self._radii.max() * 2.0**-8)) / 2)
        self._classes = [np.flatnonzero(size_class == value) for value in np.unique(size_class)]
        self._trees = [KDTree(self._centroids[ids]) for ids in self._classes]
        self._all = KDTree(self._centroids)

    def closest(self, points: np.ndarray) -> ClosestPoints:
        """The closest surface point of each of `points [N,3]`, in the unit of the mesh."""
        points = np.asarray(points, dtype=np.float64)
        if len(points) == 0:
            return ClosestPoints(np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros((0, 3)))
        chunks = [self._closest(points[i : i + _CHUNK]) for i in range(0, len(points), _CHUNK)]
        return ClosestPoints(*(np.concatenate(arrays) for arrays in zip(*chunks, strict=True)))

    def _closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        face = self._all.query(points)[1].astype(np.int64)
        distance, bary = closest_on_triangle(points, self._corners[face])
        for ids, tree in zip(self._classes, self._trees, strict=True):
            reach = distance + self._radii[ids].max()
            lists = tree.query_ball_point(points, reach, return_sorted=False)
            counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(points))
            query = np.repeat(np.arange(len(points)), counts)
            candidate = ids[np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=counts.sum())]
            offset = points[query] - self._centroids[candidate]
            near = np.einsum("ij,ij->i", offset, offset) <= (distance[query] + self._radii[candidate]) ** 2
            query, candidate = query[near], candidate[near]
            tried, tried_bary = closest_on_triangle(points[query], self._corners[candidate])
            order = np.lexsort((tried, query))  # by point, nearest first
            first = order[np.unique(query[order], return_index=True)[1]]
            better = first[tried[first] < distance[query[first]]]
            distance[query[better]] = tried[better]
            face[query[better]] = candidate[better]
            bary[query[better]] = tried_bary[better]
        return distance, face, bary
