"""Texture layouts for heads that come without one, or whose parts overlap in theirs."""

from __future__ import annotations

import cv2
import numpy as np

from headfit.types import Float, Int

#: Share of the texture's width that the largest chart takes; the others are stacked in a column to its right.
MAIN_WIDTH = 0.78
MARGIN = 0.01
#: Side in texels of the image in which overlaps are counted, and the tolerated share of covered texels that overlap.
RASTER_SIZE, MAX_OVERLAP = 512, 0.02


def layout(vertices: Float, faces: Int, charts: Int, corner_uvs: Float | None) -> tuple[Float, Int]:
    """Texture coordinates in [0,1] (u right, v up) and their faces for a mesh.

    Given UVs are kept if no two charts share texels; otherwise each chart is moved to a box of its own. Without UVs
    each chart is unrolled from a cylinder around its upright axis, cut at the back; surfaces behind one another then
    share texels.

    Args:
        vertices: `[V,3]`, y up, z front.
        faces: `[F,3]`.
        charts: `[F]`, the chart each face belongs to, any numbers.
        corner_uvs: `[F,3,2]`, or None.

    Returns:
        `uvs [T,2]` and `faces_uv [F,3]`.
    """
    charts = np.unique(charts, return_inverse=True)[1]
    if corner_uvs is None:
        corner_uvs = pack(_unroll(vertices, faces, charts), charts)
    elif corner_uvs.min() < 0 or corner_uvs.max() > 1 or _overlap(corner_uvs, charts):
        corner_uvs = pack(corner_uvs, charts)
    uvs, index = np.unique(corner_uvs.reshape(-1, 2).astype(np.float32), axis=0, return_inverse=True)
    return uvs.astype(np.float64), index.reshape(-1, 3)


def pack(corner_uvs: Float, charts: Int) -> Float:
    """Corner UVs `[F,3,2]` with each chart stretched over a box of its own; the chart with most faces gets the large
    box on the left."""
    order = np.argsort(-np.bincount(charts), kind="stable")
    packed = np.empty_like(corner_uvs)
    in_column = max(1, len(order) - 1)
    for place, chart in enumerate(order):
        mine = charts == chart
        uv = corner_uvs[mine]
        low, high = uv.min((0, 1)), uv.max((0, 1))
        if place == 0:
            corner, size = np.zeros(2), np.array([MAIN_WIDTH if len(order) > 1 else 1.0, 1.0])
        else:
            corner, size = np.array([MAIN_WIDTH, (place - 1) / in_column]), np.array([1 - MAIN_WIDTH, 1 / in_column])
        edge = min(MARGIN, 0.1 * size.min())
        packed[mine] = corner + edge + (uv - low) / np.maximum(high - low, 1e-9) * (size - 2 * edge)
    return packed


def _unroll(vertices: Float, faces: Int, charts: Int) -> Float:
    """Corner UVs `[F,3,2]`: u is the angle about each chart's upright axis (0.5: front), v the height in metres."""
    corners = vertices[faces]
    result = np.empty((*faces.shape, 2))
    for chart in np.unique(charts):
        mine = charts == chart
        points = corners[mine]
        ray = points - (points.min((0, 1)) + points.max((0, 1))) / 2
        turn = np.arctan2(ray[..., 0], ray[..., 2]) / (2 * np.pi) + 0.5
        across = np.ptp(turn, axis=1) > 0.5  # the cut runs through the face: keep the face in one piece
        turn[across] += turn[across] < 0.5
        result[mine] = np.stack([turn, points[..., 1]], axis=-1)
    return result


def _overlap(corner_uvs: Float, charts: Int) -> bool:
    """Whether more than `MAX_OVERLAP` of the covered texels belong to two charts."""
    claims: Int = np.zeros((RASTER_SIZE, RASTER_SIZE), np.int64)
    for chart in np.unique(charts):
        mask = np.zeros((RASTER_SIZE, RASTER_SIZE), np.uint8)
        for triangle in (corner_uvs[charts == chart] * (RASTER_SIZE - 1)).round().astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, 1)
        claims += np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.int64)  # charts may touch
    return bool((claims > 1).sum() > MAX_OVERLAP * max(1, (claims > 0).sum()))
