"""What is seen through a camera of the capture."""

from __future__ import annotations

import cv2
import numpy as np

from headfit.capture.camera import Camera
from headfit.fitting.pictures import Picture
from headfit.types import Float

#: What is compared: the picture fading into the render, the borders of the labels of both, their difference in colour.
LOOKS = ("blend", "label borders", "difference")


def look(tiles: tuple[Picture, Picture, Picture, Picture], kind: str, blend: float) -> Picture:
    """The picture `[H,W,3]` that is shown.

    Args:
        tiles: picture, render, label borders and colour error, from `fitting.pictures.view_tiles`.
        kind: one of `LOOKS`.
        blend: for "blend": 0 shows the picture, 1 the render.
    """
    picture, render, label_borders, error = tiles
    if kind == "label borders":
        return label_borders
    if kind == "difference":
        return error
    return np.asarray(cv2.addWeighted(picture, 1 - blend, render, blend, 0), np.uint8)


def image_plane(camera: Camera, depth: float) -> tuple[float, float, Float]:
    """Width and height (metres) and the middle `[3]` (world, metres) of a camera's picture, put up at a depth in front
    of it where it covers what it shows. Without the lens, whose distortion a plane does not have."""
    fx, fy = camera.K[0, 0], camera.K[1, 1]
    x = (camera.width / 2 - camera.K[0, 2]) / fx
    y = (camera.height / 2 - camera.K[1, 2]) / fy
    middle = camera.centre + depth * (np.array([x, y, 1.0]) @ camera.R)
    return depth * camera.width / fx, depth * camera.height / fy, middle


def field_of_view(camera: Camera, aspect: float) -> float:
    """Vertical field of view, radians, of a window of this aspect (width / height) in which the whole picture fits."""
    half_x = max(camera.K[0, 2], camera.width - camera.K[0, 2]) / camera.K[0, 0]
    half_y = max(camera.K[1, 2], camera.height - camera.K[1, 2]) / camera.K[1, 1]
    return float(2 * np.arctan(max(half_y, half_x / aspect)))
