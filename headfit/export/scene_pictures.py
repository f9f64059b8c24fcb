"""The pictures and masks of a capture without lens distortion, for programs that know pinhole cameras only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from headfit.capture import CaptureSource
from headfit.capture.camera import Camera
from headfit.capture.decode import DamagedFile
from headfit.capture.lenses import PINHOLE
from headfit.types import Float


@dataclass(frozen=True)
class SceneCamera:
    """A camera of a capture, as the fit corrected it, and its pictures as a pinhole camera without skew sees them.

    source: the capture. index: of the camera in it. given: the camera in the world (metres), with its lens.
    centred: the pixels are square and the principal point is in the middle, for programs that know a camera by its
    field of view alone. Pictures become larger then, so that nothing of them is lost; what is new is black.
    """

    source: CaptureSource
    index: int
    given: Camera
    centred: bool = False

    @cached_property
    def pinhole(self) -> Camera:
        """The camera of the pictures that this class returns."""
        K = self.given.K.copy()
        K[0, 1] = 0.0
        if not self.centred:
            return replace(self.given, K=K, lens=PINHOLE)
        sides, centre = np.array([self.given.width, self.given.height]), K[:2, 2]
        stretch = K[0, 0] / np.diag(K)[:2]
        width, height = np.ceil(2 * np.maximum(centre, sides - centre) * stretch - 1e-6).astype(int).tolist()
        K = np.array([[K[0, 0], 0, width / 2], [0, K[0, 0], height / 2], [0, 0, 1]])
        return replace(self.given, width=width, height=height, K=K, lens=PINHOLE)

    @cached_property
    def _map(self) -> np.ndarray | None:
        """Where each pixel of the pinhole picture is in the given one, `[H,W,2]` in OpenCV's pixel coordinates; None:
        in the same place."""
        pinhole = self.pinhole
        if np.array_equal(self.given.K, pinhole.K) and self.given.lens.is_pinhole:
            return None
        x, y = np.meshgrid(np.arange(pinhole.width) + 0.5, np.arange(pinhole.height) + 0.5)
        rays: Float = pinhole.rays(np.stack([x, y], axis=-1))
        there = self.given.to_pixels(rays) - 0.5
        return np.where(np.isfinite(there), there, -2.0).astype(np.float32)  # outside the picture: what no lens shows

    def image(self, frame: int) -> np.ndarray | None:
        """RGB `[H,W,3]` uint8 of a frame; None where the capture has none, or none that can be read."""
        try:
            image = self.source.image(self.index, frame)
        except DamagedFile:
            return None
        return image if image is None or self._map is None else self._resample(image, cv2.INTER_LINEAR)

    def foreground(self, frame: int) -> np.ndarray | None:
        """Mask `[H,W]` uint8, 255 where the capture's mask shows anything but background; None without a mask."""
        try:
            mask = self.source.mask(self.index, frame)
        except DamagedFile:
            return None
        if mask is None:
            return None
        background = [value for value, name in self.source.label_names.items() if name == "background"]
        foreground = np.where(np.isin(mask, background), np.uint8(0), np.uint8(255))
        return foreground if self._map is None else self._resample(foreground, cv2.INTER_NEAREST)

    def _resample(self, picture: np.ndarray, how: int) -> np.ndarray:
        assert self._map is not None
        return cv2.remap(picture, self._map[..., 0], self._map[..., 1], how, borderMode=cv2.BORDER_CONSTANT)
