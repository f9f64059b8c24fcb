"""Which part of a camera's picture is decoded, and at what size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Pictures are scaled down to this share of their size or less, or not at all.
MIN_REDUCTION = 0.8
#: JPEGs can be decoded at these parts of their size for less.
REDUCTIONS = (8, 4, 2)
#: Pictures of more pixels than this are decoded smaller, where that is enough for a framing.
LARGE = 2_000_000


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

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the picture."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @property
    def reduction(self) -> int:
        """The part (1/2, 1/4, 1/8) of the picture's size that holds all that is shown: its denominator; else 1."""
        numbers = (self.x, self.y, self.width, self.height)
        for reduction in REDUCTIONS:
            enough = reduction * self.out_width <= self.width and reduction * self.out_height <= self.height
            if _is_large(*numbers) and enough and not any(number % reduction for number in numbers):
                return reduction
        return 1

    def reduced(self, reduction: int) -> Framing:
        """The same framing of the picture at a part of its size, by which the window must be divisible."""
        x, y, width, height = (number // reduction for number in (self.x, self.y, self.width, self.height))
        return Framing(x, y, width, height, self.out_width, self.out_height)


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
        that would change its size by little.

        In a large picture that is reduced, the window shrinks by a few pixels, to whole pixels of a picture that is
        decoded at a half, a quarter or an eighth of its size.
        """
        scale = resolution / self.head_size if resolution < MIN_REDUCTION * self.head_size else 1.0
        x, y, width, height = self.x, self.y, self.width, self.height
        if _is_large(x, y, width, height):
            grid = next((reduction for reduction in REDUCTIONS if reduction * scale <= 1), 1)
            x, width = _whole(x, width, grid)
            y, height = _whole(y, height, grid)
        return Framing(x, y, width, height, max(1, round(width * scale)), max(1, round(height * scale)))


def _is_large(x: int, y: int, width: int, height: int) -> bool:
    """Whether the picture of this window has more than `LARGE` pixels, by what the window shows of it."""
    return (x + width) * (y + height) > LARGE


def _whole(start: int, length: int, grid: int) -> tuple[int, int]:
    """The largest stretch within this one (start, length) that is divisible by `grid`; this one where there is none."""
    first, last = -(-start // grid) * grid, (start + length) // grid * grid
    return (first, last - first) if last > first else (start, length)


def framings_at(windows: Sequence[HeadWindow], resolution: float) -> tuple[Framing, ...]:
    """The framing of every camera at one resolution across the head."""
    return tuple(window.framing(resolution) for window in windows)
