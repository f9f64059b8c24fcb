"""Colours of surfaces: display-coded RGB `[N,3]` in [0, 1] for each vertex."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.fitting.pictures import ERROR_RANGE
from headfit.types import Float

Colours = NDArray[np.float32]

#: A label's colour, by name; others take hues that are far from each other.
LABEL_COLOURS = {
    "skin": (0.87, 0.68, 0.56),
    "hair": (0.36, 0.25, 0.18),
    "upper_lip": (0.85, 0.25, 0.30),
    "lower_lip": (0.65, 0.12, 0.25),
    "upper_teeth": (0.95, 0.95, 0.90),
    "lower_teeth": (0.80, 0.88, 0.95),
    "gums": (0.90, 0.50, 0.60),
    "tongue": (0.95, 0.35, 0.55),
    "mouth_cavity": (0.35, 0.05, 0.15),
    "left_eye": (0.20, 0.55, 0.90),
    "right_eye": (0.15, 0.75, 0.70),
    "brows": (0.55, 0.35, 0.15),
    "ears": (0.95, 0.75, 0.25),
    "neck": (0.60, 0.70, 0.45),
    "nose": (0.60, 0.50, 0.85),
}
#: What no camera sees.
UNSEEN = (0.35, 0.35, 0.38)
#: A surface without a colour of its own.
PLAIN = (0.78, 0.76, 0.74)
#: Shares of the light that comes from everywhere and from the side that is looked at.
AMBIENT, DIRECTED = 0.45, 0.55


def headlight(normals: Colours, towards: Float) -> Colours:
    """Shading `[N,1]` of unit normals `[N,3]` by a light from the direction `towards [3]`; both sides are lit."""
    cosine = np.abs(normals @ (towards / np.linalg.norm(towards)))
    return (AMBIENT + DIRECTED * cosine)[:, None].astype(np.float32)


def of_normals(normals: Colours) -> Colours:
    """x, y and z of unit normals `[N,3]` as red, green and blue, from -1 (dark) to 1."""
    return np.asarray((normals + 1) / 2, np.float32)


def of_labels(names: Sequence[str]) -> Colours:
    """A colour `[labels,3]` for each label name."""
    spread = [colorsys.hsv_to_rgb(0.618034 * index % 1, 0.65, 0.9) for index in range(len(names))]
    known = [LABEL_COLOURS.get(name, other) for name, other in zip(names, spread, strict=True)]
    return np.array(known, np.float32).reshape(-1, 3)


def of_error(error: Colours, brightest: float = ERROR_RANGE) -> Colours:
    """Errors `[N]` (0 dark, `brightest` and above brightest) as `fitting.pictures` draws them; nan is grey."""
    scaled = np.nan_to_num(error / brightest).clip(0, 1) * 255
    heat = cv2.applyColorMap(scaled.astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1] / 255
    return np.where(np.isnan(error)[:, None], UNSEEN, heat).astype(np.float32)
