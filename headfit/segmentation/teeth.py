"""Teeth in masks that tell the inside of the mouth as one part, by how their colours differ from the lips'.

Most parsers' masks are such, and would leave a model's teeth anywhere in its mouth. Tongue and gums differ too little
from what is around them to be told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.centroids import REGIONS
from headfit.capture.labels import LIP_LABELS, TEETH_LABELS, native_name
from headfit.capture.source import CaptureSource, OtherMasks, read_or_none
from headfit.segmentation.cut import MIN_SEEDS
from headfit.types import Bool

#: Teeth are less saturated than lips (chroma over lightness in CIELAB) and lighter than the dark behind them. Shares of
#: the lips' medians: teeth are below the first and above the last; what is between the first two may be teeth.
TEETH_SATURATION, FLESH_SATURATION, TEETH_LIGHTNESS = 0.65, 1.0, 0.4
#: Lightness below which saturation is noise, and saturation of the lips below which a picture has no colours; half the
#: width of a speck, which is no tooth, as a share of the head's extent.
MIN_LIGHTNESS, MIN_SATURATION, SPECK = 5.0, 0.05, 0.004
#: Values that a mask gets: for teeth, and for what may be teeth.
NEW_VALUES = 2
#: Labels of a mouth's inside as one part, and of what is told in it.
INSIDE_LABELS, PART_LABELS = ("inner_mouth", "mouth_cavity"), ("tongue", *TEETH_LABELS)


def find_teeth(image: NDArray[np.uint8], lips: Bool, inside: Bool, extent: float) -> tuple[Bool, Bool]:
    """Teeth inside of a mouth, and what may be teeth or not, each `[H,W]`; neither where colours do not tell.

    Args:
        image: `[H,W,3]` RGB.
        lips, inside: `[H,W]`.
        extent: of the head, pixels.
    """
    teeth, doubtful = np.zeros_like(inside), np.zeros_like(inside)
    if lips.sum() < MIN_SEEDS:
        return teeth, doubtful
    y, x = np.nonzero(lips | inside)
    window = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    lips, inside = lips[window], inside[window]
    lab = cv2.cvtColor(image[window].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0]
    saturation = np.hypot(lab[..., 1], lab[..., 2]) / np.maximum(lightness, MIN_LIGHTNESS)
    of_lips = np.median(saturation[lips])
    if of_lips < MIN_SATURATION:
        return teeth, doubtful
    light = inside & (lightness > TEETH_LIGHTNESS * np.median(lightness[lips]))
    pale = (light & (saturation < TEETH_SATURATION * of_lips)).astype(np.uint8)
    teeth[window] = inside & (cv2.medianBlur(pale, 2 * round(SPECK * extent) + 1) > 0)
    doubtful[window] = light & (saturation < FLESH_SATURATION * of_lips) & ~teeth[window]
    return teeth, doubtful


class TeethByColour(OtherMasks):
    """A capture in whose masks colours tell the teeth; what may be teeth or not is unknown.

    Where a picture is damaged or missing, or tells nothing, a mask stays. The picture that told the last one is kept,
    one for each thread: to decode it again may cost more than all the rest of a view.
    """

    def __init__(self, capture: CaptureSource) -> None:
        names = {value: native_name(name) for value, name in capture.label_names.items()}
        self._lips = [value for value, name in names.items() if name in LIP_LABELS]
        self._inside = [value for value, name in names.items() if name in INSIDE_LABELS]
        self._head = [value for value, name in names.items() if name in REGIONS["head"]]
        self._teeth, self._doubtful = [value for value in range(256) if value not in names][:NEW_VALUES]
        self._last = threading.local()
        cavity = dict.fromkeys(self._inside, "mouth_cavity")
        super().__init__(capture, names | cavity | {self._teeth: "teeth", self._doubtful: "unknown"})

    def image(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.image`."""
        return self._kept(camera, frame, lambda: self.capture.image(camera, frame))

    def image_reduced(self, camera: int, frame: int, reduction: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.image_reduced`."""
        return self._kept(camera, frame, lambda: self.capture.image_reduced(camera, frame, reduction))

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.mask`."""
        mask = self.capture.mask(camera, frame)
        inside = np.isin(mask, self._inside) if mask is not None else np.zeros(0, dtype=bool)
        image = read_or_none(self.image, camera, frame) if inside.any() else None
        if mask is None or image is None:
            return mask
        self._last.view, self._last.image = (camera, frame), image
        extent = float(np.sqrt(np.isin(mask, self._head).sum()))
        teeth, doubtful = find_teeth(image, np.isin(mask, self._lips), inside, extent)
        return np.select([teeth, doubtful], [np.uint8(self._teeth), np.uint8(self._doubtful)], mask)

    def _kept(self, camera: int, frame: int, read: Callable[[], NDArray[np.uint8] | None]) -> NDArray[np.uint8] | None:
        """The picture that told the teeth of the last mask, where it is of this view; else what `read` returns."""
        if getattr(self._last, "view", None) != (camera, frame):
            return read()
        image: NDArray[np.uint8] = self._last.image
        return image


def with_teeth(capture: CaptureSource) -> CaptureSource:
    """A capture with `TeethByColour` where its masks tell lips and, as one part, what is between them."""
    names = {native_name(name) for name in capture.label_names.values()}
    told = [not names.isdisjoint(labels) for labels in (LIP_LABELS, INSIDE_LABELS, PART_LABELS)]
    applies = told == [True, True, False] and len(capture.label_names) <= 256 - NEW_VALUES
    return cast(CaptureSource, TeethByColour(capture)) if applies else capture
