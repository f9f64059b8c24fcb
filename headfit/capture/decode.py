"""Decoding of image files into RGB and into mask values, with the faults of a file named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.color import ColorSteps, in_strips, srgb_encoded
from headfit.capture.image_bytes import (
    EXR_SIGNATURE,
    JPEG_SIGNATURE,
    PNG_SIGNATURE,
    bit_depth,
    find_damage,
    is_lossy,
    picture_size,
    without_orientation,
)
from headfit.capture.palette import has_colours, with_indices
from headfit.errors import HeadfitError
from headfit.files import one_line
from headfit.types import Float

#: Most pixels of a picture that is decoded: more than the largest camera has. A small file may claim any size.
MAX_PIXELS = 200_000_000
#: Pixels as stored: an EXIF rotation is not applied, since calibrations refer to stored pixels.
_AS_STORED = cv2.IMREAD_IGNORE_ORIENTATION
#: Where a PNG says what its channels are; grey and RGB with alpha.
_PNG_COLOR_TYPE, _PNG_WITH_ALPHA = 25, (4, 6)
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


class DamagedFile(HeadfitError):
    """A file that cannot be used. `reason` says what is wrong, without the path.

    Training counts and reports such a file and continues without it.
    """

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason


@dataclass(frozen=True)
class Tones:
    """How stored values become RGB.

    Attributes:
        white_level: the stored value that is white. None: the largest of the file's type; 1 for floating-point files
            (EXR, TIFF), whose linear light is clipped there and encoded as sRGB.
        color: steps that follow.
    """

    white_level: float | None = None
    color: ColorSteps = field(default_factory=ColorSteps)


AS_STORED = Tones()


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as RGB `[H,W,3]` uint8, pixels as stored. Raises DamagedFile."""
    return decode_image(read_bytes(path), path)


def read_label_image(path: Path) -> NDArray[np.uint8]:
    """The class values `[H,W]` of a single-channel 8-bit PNG, TIFF or lossless WebP. Raises DamagedFile."""
    return decode_label_image(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises DamagedFile."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFile(path, f"cannot be read ({error.strerror})") from error


def decode_image(data: bytes, path: Path | str, tones: Tones = AS_STORED, reduction: int = 1) -> NDArray[np.uint8]:
    """RGB `[H,W,3]` uint8 of a JPEG, PNG, TIFF, WebP, AVIF or EXR. Raises DamagedFile.

    Args:
        data: the bytes of the file.
        path: its name, for messages.
        tones: how stored values become RGB.
        reduction: 2, 4 or 8 gives a JPEG at that part of its size (rounded up), which costs less; else 1.
    """
    _require_whole(data, path)
    if data.startswith(EXR_SIGNATURE):
        return developed(_decode_exr(path, data), 1.0, tones, linear=True)
    depth = bit_depth(data)
    if depth <= 8 and tones.white_level is None:
        if reduction > 1 and data.startswith(JPEG_SIGNATURE):
            rgb = cv2.cvtColor(_decode(path, data, _REDUCED[reduction] | _AS_STORED), cv2.COLOR_BGR2RGB)
        else:
            rgb = _decode(path, data, cv2.IMREAD_COLOR_RGB | _AS_STORED)
        return developed(np.asarray(rgb), 255, tones)
    if depth <= 16 and tones == AS_STORED:
        if depth == 16:
            _require_bright(path, int(_decode(path, data, cv2.IMREAD_UNCHANGED).max()))
        return np.asarray(_decode(path, data, cv2.IMREAD_COLOR_RGB | _AS_STORED))
    # Not IMREAD_COLOR_RGB: OpenCV 5.0 swaps the bytes of a 16-bit TIFF with it.
    bgr = _decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | _AS_STORED)
    linear = bgr.dtype.kind == "f"
    return developed(bgr[..., ::-1], 1.0 if linear else 2.0**depth - 1, tones, linear)


def decode_alpha(data: bytes, path: Path | str) -> NDArray[np.uint8] | None:
    """The alpha `[H,W]` of a PNG; None where it has none, or the same everywhere. Raises DamagedFile."""
    _require_whole(data, path)
    if not data.startswith(PNG_SIGNATURE) or data[_PNG_COLOR_TYPE] not in _PNG_WITH_ALPHA:
        return None
    alpha = _decode(path, data, cv2.IMREAD_UNCHANGED)[..., -1]
    return None if alpha.min() == alpha.max() else (alpha // (np.iinfo(alpha.dtype).max // 255)).astype(np.uint8)


def developed(pixels: NDArray[Any], white: float, tones: Tones, linear: bool = False) -> NDArray[np.uint8]:
    """uint8 RGB `[H,W,3]` of stored values.

    Args:
        pixels: stored values `[H,W,3]` of any type, in the order RGB.
        white: the value that is white where `tones` states none.
        tones: how they become RGB.
        linear: they are linear light.
    """
    if pixels.dtype == np.uint8 and tones == AS_STORED:
        return pixels
    factor = np.float32(1 / (white if tones.white_level is None else tones.white_level))
    encode: Callable[[Float], Float] = srgb_encoded if linear else lambda rgb: rgb
    return in_strips(pixels, lambda part: tones.color(encode(part.astype(np.float32) * factor)))


def decode_label_image(data: bytes, path: Path | str, channels: int = 1) -> NDArray[np.uint8]:
    """Mask values `[H,W]`, or RGB `[H,W,3]` for `channels` 3, of an 8-bit PNG, TIFF or lossless WebP.

    The values of a PNG with a palette of colours are the palette's indices.

    Args:
        data: the bytes of the file.
        path: its name, for messages.
        channels: 1 or 3.

    Raises:
        DamagedFile: also for lossy compression, and for as many channels as were not expected.
    """
    _require_whole(data, path)
    if is_lossy(data):
        raise DamagedFile(path, "lossy compression changes class values: save masks as PNG, from the originals")
    if channels == 3:
        return np.asarray(_decode(path, data, cv2.IMREAD_COLOR_RGB | _AS_STORED))
    if data.startswith(PNG_SIGNATURE) and has_colours(data):
        grey, factor = with_indices(data)
        return np.asarray(_decode(path, grey, cv2.IMREAD_UNCHANGED) // factor)
    mask = _decode(path, data, cv2.IMREAD_UNCHANGED)
    if mask.ndim == 3 and (mask[..., :3] == mask[..., :1]).all():
        mask = mask[..., 0]  # WebP knows no greyscale, and a palette may be grey
    if mask.ndim != 2 or mask.dtype != np.uint8:
        found = 1 if mask.ndim == 2 else mask.shape[2]
        raise DamagedFile(
            path,
            f"a mask must be one 8-bit channel of class values, this has {found} of {mask.dtype} "
            '(name the colours\' labels as "R,G,B")',
        )
    return mask


def _require_whole(data: bytes, path: Path | str) -> None:
    fault = find_damage(data)
    if fault is not None:
        raise DamagedFile(path, fault)
    width, height = picture_size(data) or (0, 0)
    if width * height > MAX_PIXELS:
        raise DamagedFile(path, f"claims {width}x{height} pixels; more than {MAX_PIXELS} are not decoded")


def _require_bright(path: Path | str, brightest: int) -> None:
    if brightest < 4096:  # as 8 bits it would be black
        raise DamagedFile(
            path,
            f"16-bit image whose brightest value is {brightest}: {max(brightest, 1).bit_length()} bits of data in "
            "16. State the 'white_level' of the images in capture.json, or stretch the values to 65535",
        )


def _decode(path: Path | str, data: bytes, flags: int) -> NDArray[Any]:
    try:
        pixels = cv2.imdecode(np.frombuffer(without_orientation(data), np.uint8), flags)
    except cv2.error as error:
        raise DamagedFile(path, f"cannot be decoded ({one_line(error)})") from error
    if pixels is None:
        raise DamagedFile(path, "cannot be decoded")
    return np.asarray(pixels)


def _decode_exr(path: Path | str, data: bytes) -> Float:
    """Linear RGB `[H,W,3]` float32 of an EXR."""
    import av

    decoder = av.CodecContext.create("exr", "r")
    try:
        frame = (decoder.decode(av.Packet(data)) or decoder.decode(None))[0]
    except (av.FFmpegError, OSError, ValueError, LookupError) as error:
        raise DamagedFile(path, f"cannot be decoded ({one_line(error)})") from error
    size = {"gbrpf16le": 2, "gbrapf16le": 2, "gbrpf32le": 4, "gbrapf32le": 4, "grayf16le": 2, "grayf32le": 4}
    bytes_each = size.get(frame.format.name)
    if bytes_each is None:
        raise DamagedFile(path, f"has channels that cannot be read ({frame.format.name}), expected RGB or grey")
    rows = [np.frombuffer(bytes(plane), f"<f{bytes_each}").reshape(frame.height, -1) for plane in frame.planes]
    planes = [row[:, : frame.width] for row in rows]
    channels = [planes[2], planes[0], planes[1]] if len(planes) >= 3 else planes[:1] * 3
    return np.stack(channels, axis=-1).astype(np.float32)
