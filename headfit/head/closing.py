"""How far lids and lips that should be closed are open, in metres: the widest strip that one can look through.

Seen from the front, each from a few sides, by a camera so far off that its rays are parallel.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from headfit.head.model import HeadModel
from headfit.raster import rasterize

PIXEL = 5e-5  # metres
REACH = (0.02, 0.034)  # half of the picture's height and width, metres
VIEWS = ((0.0, 0.0), (0.0, 15.0), (0.0, -15.0), (25.0, 0.0), (-25.0, 0.0))  # yaw, pitch in degrees
FAR = 10.0  # metres added to the depth


def lid_gap(head: HeadModel, v: NDArray[np.float64]) -> float:
    """Widest strip of eyeball between the lids of either eye, metres; `v` [V,3]."""
    return max(_widest(head, v, {name}, name) for name in ("left_eye", "right_eye"))


def lip_gap(head: HeadModel, v: NDArray[np.float64]) -> float:
    """Widest strip of teeth, gums, tongue or cavity between the lips, metres; `v` [V,3]."""
    inner = {"upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity"}
    return _widest(head, v, inner, "upper_lip")


def _widest(head: HeadModel, v: NDArray[np.float64], labels: set[str], around: str) -> float:
    """Height of the tallest column of pixels that show one of the labels, in the worst of VIEWS."""
    points = torch.from_numpy(v).float()
    label = head.face_labels
    middle = points[head.faces[label == head.label_names.index(around)].long()].reshape(-1, 3)
    centre = (middle.amin(0) + middle.amax(0)) / 2
    seen = torch.tensor([name in labels for name in head.label_names])
    height, width = (round(2 * reach / PIXEL) for reach in REACH)
    widest = 0
    for yaw, pitch in np.radians(VIEWS):
        forward = torch.tensor([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        right = torch.tensor([np.cos(yaw), 0.0, -np.sin(yaw)])
        axes = torch.stack([right, torch.linalg.cross(right, forward), -forward]).float()
        pixels = (points - centre) @ axes.T / PIXEL
        pixels[:, 0] += width / 2
        pixels[:, 1] += height / 2
        pixels[:, 2] = FAR + pixels[:, 2] * PIXEL
        index = rasterize(pixels[None], head.faces, (height, width))[0][0].long()
        shown = (seen[label[index.clamp_min(0)]] & (index >= 0)).numpy()
        widest = max(widest, _tallest_run(shown))
    return widest * PIXEL


def _tallest_run(shown: NDArray[np.bool_]) -> int:
    """Longest unbroken run of true in any column of [H,W]."""
    run = np.zeros(shown.shape[1], int)
    best = 0
    for row in shown:
        run = np.where(row, run + 1, 0)
        best = max(best, int(run.max()))
    return best
