"""How far the colours of the fit are from those of the pictures, on the surface."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera
from headfit.fitting.model import FittedHead
from headfit.fitting.pictures import Picture, resized
from headfit.view.colours import Colours
from headfit.view.painter import Posed

#: Longest side, pixels, at which pictures are compared.
RESOLUTION = 384
#: A vertex is seen when nothing is this much (metres) in front of it and its normal is not across the view (cosine).
MARGIN, GRAZING = 3e-3, 0.2


def vertex_error(
    model: FittedHead, frame: int, posed: Posed, views: Iterable[tuple[Camera, Picture | None]]
) -> Colours:
    """Mean absolute colour difference `[V]` in [0, 1] at each vertex over the views that see it; nan where none does.

    Args:
        model: the fit.
        frame: index of the frame.
        posed: the head in it.
        views: cameras in the fit's local frame, and their pictures.
    """
    total = np.zeros(len(posed.vertices), np.float32)
    count = np.zeros(len(posed.vertices), np.float32)
    for full, picture in views:
        if picture is None:
            continue
        camera = full.scaled(min(1.0, RESOLUTION / full.longest_side))
        layers = model.render(camera, frame)
        difference = np.abs(layers["rgb"].astype(np.float32) - resized(picture, camera.size)).mean(axis=-1) / 255
        seen, row, column = seen_pixels(camera, posed, layers["depth"])
        total[seen] += difference[row, column]
        count[seen] += 1
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, np.nan).astype(np.float32)


def seen_pixels(
    camera: Camera, posed: Posed, depth: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The vertices `[N]` that a camera sees, and rows `[N]` and columns `[N]` of their pixels.

    Args:
        camera: the camera.
        posed: the head.
        depth: `[H,W]` metres, of what the camera sees of the head and its hair; 0 beside it.
    """
    in_camera = camera.to_camera(posed.vertices.astype(np.float64))
    facing = np.einsum("vi,vi->v", posed.normals @ camera.R.T, in_camera) < -GRAZING * np.linalg.norm(in_camera, axis=1)
    candidates = np.flatnonzero(facing & (in_camera[:, 2] > 0))
    column, row = np.floor(camera.to_pixels(in_camera[candidates])).astype(np.int64).T
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    candidates, row, column = candidates[inside], row[inside], column[inside]
    front = depth[row, column]
    seen = (front > 0) & (in_camera[candidates, 2] <= front + MARGIN)
    return candidates[seen], row[seen], column[seen]
