"""Openings between lids or lips that should be closed: the height of the widest gap, in metres.

Measured in orthographic images from the front and a few oblique directions.
"""

from __future__ import annotations

import numpy as np
import torch

from headfit.head import HeadModel
from headfit.raster import rasterize
from headfit.types import Bool, Float

PIXEL_SIZE = 5e-5  # metres
HALF_SIZE = (0.02, 0.034)  # half the image's height and width, metres
VIEWS = ((0.0, 0.0), (0.0, 15.0), (0.0, -15.0), (25.0, 0.0), (-25.0, 0.0))  # yaw, pitch in degrees
DISTANCE = 10.0  # metres from the camera, so that all depths are positive
INSIDE = ("upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity")


def lid_gap(head: HeadModel, vertices: Float) -> float:
    """Height of the widest gap between the lids that shows the eyeball, metres, the worse of both eyes.

    `vertices [V,3]` in metres, head frame.
    """
    return max(_widest_gap(head, vertices, (name,), name) for name in ("left_eye", "right_eye"))


def lip_gap(head: HeadModel, vertices: Float) -> float:
    """Height of the widest gap between the lips that shows teeth, gums, tongue or cavity, metres.

    `vertices [V,3]` in metres, head frame.
    """
    return _widest_gap(head, vertices, INSIDE, "upper_lip")


def _widest_gap(head: HeadModel, vertices: Float, behind: tuple[str, ...], around: str) -> float:
    """Height of the tallest column of pixels that show one of the labels `behind`, in the worst of `VIEWS`; images are
    centred on the label `around`."""
    points = torch.from_numpy(vertices).float()
    middle = points[head.vertices_of(around)]
    centre = (middle.amin(0) + middle.amax(0)) / 2
    is_behind = torch.zeros(len(head.faces), dtype=torch.bool)
    is_behind[head.faces_of(*behind)] = True
    height, width = (round(2 * half / PIXEL_SIZE) for half in HALF_SIZE)
    widest = 0
    for yaw, pitch in np.radians(VIEWS):
        forward = torch.tensor([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        right = torch.tensor([np.cos(yaw), 0.0, -np.sin(yaw)])
        axes = torch.stack([right, torch.linalg.cross(right, forward), -forward]).float()
        pixels = (points - centre) @ axes.T / PIXEL_SIZE
        pixels[:, 0] += width / 2
        pixels[:, 1] += height / 2
        pixels[:, 2] = DISTANCE + pixels[:, 2] * PIXEL_SIZE
        index = rasterize(pixels[None], head.faces, (height, width))[0][0].long()
        shown = (is_behind[index.clamp_min(0)] & (index >= 0)).numpy()
        widest = max(widest, _tallest_run(shown))
    return widest * PIXEL_SIZE


def _tallest_run(shown: Bool) -> int:
    """Length of the longest unbroken run of true in any column of a mask `[H,W]`."""
    run = np.zeros(shown.shape[1], int)
    best = 0
    for row in shown:
        run = np.where(row, run + 1, 0)
        best = max(best, int(run.max()))
    return best
