"""Small videos whose pictures show their own number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

#: Stripes of a picture: the binary digits of its number, the lowest on the left.
DIGITS = 8


def numbered_picture(number: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """An RGB picture `[H,W,3]` that shows `number` as black and white stripes."""
    digits = [255 * (number >> digit & 1) for digit in range(DIGITS)]
    row = np.repeat(np.array(digits, np.uint8), size[0] // DIGITS)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (size[1], size[0], 3)))


def number_in(rgb: NDArray[np.uint8]) -> int:
    """The number that a picture shows."""
    stripe = rgb.shape[1] // DIGITS
    middles = [rgb[:, digit * stripe + stripe // 4 : (digit + 1) * stripe - stripe // 4] for digit in range(DIGITS)]
    return sum(int(part.mean() > 128) << digit for digit, part in enumerate(middles))


def write_video(
    path: Path,
    codec: str,
    count: int,
    *,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    picture: Callable[[int], NDArray[np.uint8]] = numbered_picture,
    rotation: int | None = None,
    **settings: Any,
) -> Path:
    """A video of `count` pictures.

    Args:
        path: the file, whose suffix names the container.
        codec: of the pictures.
        count: their number.
        options: of the codec.
        times: when each is shown, in milliseconds, instead of 25 a second.
        picture: the RGB picture of each number.
        rotation: counter-clockwise degrees by which a player turns the pictures.
        settings: attributes of the codec's context.
    """
    height, width = picture(0).shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
