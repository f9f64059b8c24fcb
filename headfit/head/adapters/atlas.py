"""A texture layout for heads that bring none, or one whose parts lie on top of each other."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Share of the texture's width that the largest chart takes; the others stand in a column beside it.
MAIN_WIDTH = 0.78
MARGIN = 0.01
#: Side in texels of the picture in which overlaps are counted, and the share of covered texels that may.
RASTER, OVERLAP = 512, 0.02


def layout(vertices: Float, faces: Int, charts: Int, corner_uvs: Float | None) -> tuple[Float, Int]:
    """`uvs [T,2]` in [0,1] (u right, v up) and `faces_uv [F,3]` of a mesh `vertices [V,3]`, `faces [F,3]`.

    Given `corner_uvs [F,3,2]` are kept if the charts `charts [F]` share no texels in them. Else every chart is moved
    to a place of its own. Without any, each chart is unrolled from a cylinder round its upright axis, cut at the
    back: surfaces behind each other then share texels.
    """
    charts = np.unique(charts, return_inverse=True)[1]
    if corner_uvs is None:
        corner_uvs = pack(_unroll(vertices, faces, charts), charts)
    elif corner_uvs.min() < 0 or corner_uvs.max() > 1 or _overlap(corner_uvs, charts):
        corner_uvs = pack(corner_uvs, charts)
    uvs, index = np.unique(corner_uvs.reshape(-1, 2).astype(np.float32), axis=0, return_inverse=True)
    return uvs.astype(np.float64), index.reshape(-1, 3)


def pack(corner_uvs: Float, charts: Int) -> Float:
    """Corner UVs `[F,3,2]` with each chart stretched over a box of its own: the one of most faces left, large."""
    order = np.argsort(-np.bincount(charts), kind="stable")
    packed = np.empty_like(corner_uvs)
    beside = max(1, len(order) - 1)
    for place, chart in enumerate(order):
        mine = charts == chart
        uv = corner_uvs[mine]
        low, high = uv.min((0, 1)), uv.max((0, 1))
        if place == 0:
            corner, size = np.zeros(2), np.array([MAIN_WIDTH if len(order) > 1 else 1.0, 1.0])
        else:
            corner, size = np.array([MAIN_WIDTH, (place - 1) / beside]), np.array([1 - MAIN_WIDTH, 1 / beside])
        edge = min(MARGIN, 0.1 * size.min())
        packed[mine] = corner + edge + (uv - low) / np.maximum(high - low, 1e-9) * (size - 2 * edge)
    return packed


def _unroll(vertices: Float, faces: Int, charts: Int) -> Float:
    """Corner UVs `[F,3,2]`: u the turn about each chart's upright axis (0.5: front), v the height in metres."""
    corners = vertices[faces]
    result = np.empty((*faces.shape, 2))
    for chart in np.unique(charts):
        mine = charts == chart
        points = corners[mine]
        ray = points - (points.min((0, 1)) + points.max((0, 1))) / 2
        turn = np.arctan2(ray[..., 0], ray[..., 2]) / (2 * np.pi) + 0.5
        across = np.ptp(turn, axis=1) > 0.5  # the cut runs through the face: keep it in one piece
        turn[across] += turn[across] < 0.5
        result[mine] = np.stack([turn, points[..., 1]], axis=-1)
    return result


def _overlap(corner_uvs: Float, charts: Int) -> bool:
    """Whether texels are claimed by two charts."""
    claims: Int = np.zeros((RASTER, RASTER), np.int64)
    for chart in np.unique(charts):
        mask = np.zeros((RASTER, RASTER), np.uint8)
        for triangle in (corner_uvs[charts == chart] * (RASTER - 1)).round().astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, 1)
        claims += np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.int64)  # charts may touch
    return bool((claims > 1).sum() > OVERLAP * max(1, (claims > 0).sum()))
