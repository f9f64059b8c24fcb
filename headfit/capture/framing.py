"""Which part of a camera's picture is decoded, and at what size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Pictures are scaled down to this share of their size or less, or not at all.
MIN_REDUCTION = 0.8


@dataclass(frozen=True)
class Framing:
    """A window of a picture, and the size that it is resized to. All in whole pixels; x, y is its top-left corner."""

    x: int
    y: int
    width: int
    height: int
    out_width: int
    out_height: int

    @property
    def factors(self) -> tuple[float, float]:
        """Resized pixels per pixel of the picture, along x and y; near each other, since the size is whole pixels."""
        return self.out_width / self.width, self.out_height / self.height


@dataclass(frozen=True)
class HeadWindow:
    """Where the head is in the pictures of a camera: a window in whole pixels, and the head's longest side there."""

    x: int
    y: int
    width: int
    height: int
    head_size: float

    @classmethod
    def whole(cls, width: int, height: int) -> HeadWindow:
        """A whole picture of this size, as if the head filled it."""
        return cls(0, 0, width, height, float(max(width, height)))

    def framing(self, resolution: float) -> Framing:
        """The window with `resolution` pixels along the head's longest side; never magnified, and not resampled where
        that would change its size by little."""
        scale = resolution / self.head_size if resolution < MIN_REDUCTION * self.head_size else 1.0
        size = (max(1, round(self.width * scale)), max(1, round(self.height * scale)))
        return Framing(self.x, self.y, self.width, self.height, *size)


def framings_at(windows: Sequence[HeadWindow], resolution: float) -> tuple[Framing, ...]:
    """The framing of every camera at one resolution across the head."""
    return tuple(window.framing(resolution) for window in windows)
