"""Square, turned windows of a picture, as the networks take them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.types import Float


@dataclass(frozen=True)
class Crop:
    """A square window of a picture.

    Attributes:
        x, y: its centre, pixels from the picture's corner.
        size: its side, pixels.
        angle: by which it is turned, radians; positive from the x axis towards the y axis (downwards).
    """

    x: float
    y: float
    size: float
    angle: float = 0.0

    def moved(self, right: float, down: float, scale: float, turn: float) -> Crop:
        """The window moved by shares of its size, resized, and turned by radians."""
        return Crop(self.x + right * self.size, self.y + down * self.size, self.size * scale, self.angle + turn)

    def to_picture(self, points: Float) -> Float:
        """Points `[N,2]` of the window, in [0, 1], as pixels of the picture."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        turned: Float = (np.asarray(points, dtype=np.float64) - 0.5) @ np.array([[c, s], [-s, c]])
        return turned * self.size + [self.x, self.y]

    def cut(self, image: NDArray[np.uint8], side: int, mirrored: bool = False) -> NDArray[np.uint8]:
        """The window as a picture `[side,side,3]`, black outside of the image."""
        # Warping does not average: a large window is first made smaller, by a whole number.
        shrink = max(1, int(self.size / side))
        if shrink > 1:
            height, width = (length // shrink * shrink for length in image.shape[:2])
            image = np.asarray(
                cv2.resize(image[:height, :width], (width // shrink, height // shrink), interpolation=cv2.INTER_AREA),
                dtype=np.uint8,
            )
        corners = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]] if mirrored else [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        source = self.to_picture(corners) / shrink - 0.5  # OpenCV counts from the first pixel's centre
        target = np.array([[0.0, 0.0], [side, 0.0], [0.0, side]]) - 0.5
        matrix = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
        return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR), dtype=np.uint8)
