"""Decoding of image files that finds damage instead of hiding it.

Some versions of OpenCV decode a truncated JPEG without an error: the missing rows come out grey, and would be fitted.
So a file is checked for completeness before it is decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.errors import HeadfitError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# In entropy-coded JPEG data FF is followed by 00 (a stuffed FF), D0..D7 (restart) or FF (fill). Anything else is the
# next marker (ITU-T T.81, B.1.1).
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_END_OF_IMAGE = 0xD9


class DamagedFile(HeadfitError):
    """A file that cannot be used. `reason` says what is wrong, without the path.

    Training counts and reports such a file and continues without it.
    """

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason


def read_image(path: Path) -> NDArray[np.uint8]:
    """A JPEG or PNG as RGB `[H,W,3]` uint8. Raises DamagedFile.

    Pixels are as stored: an EXIF rotation is not applied, since calibrations refer to stored pixels.
    """
    return _decode(path, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def read_label_image(path: Path) -> NDArray[np.uint8]:
    """The class values `[H,W]` of a single-channel 8-bit PNG. Raises DamagedFile."""
    mask = _decode(path, cv2.IMREAD_UNCHANGED)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = 1 if mask.ndim == 2 else mask.shape[2]
        raise DamagedFile(
            path,
            f"a mask must be one 8-bit channel of class values, this has {channels} of {mask.dtype} "
            "(a palette PNG decodes to colours: save it as greyscale)",
        )
    return mask


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedFile(path, f"cannot be read ({error.strerror})") from error
    fault = find_damage(data)
    if fault is not None:
        raise DamagedFile(path, fault)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise DamagedFile(path, "cannot be decoded")
    return np.asarray(pixels)


def find_damage(data: bytes) -> str | None:
    """What is wrong with the bytes of a JPEG or PNG file; None when they are complete."""
    if not data:
        return "empty file"
    if data.startswith(b"\xff\xd8"):
        return None if _jpeg_is_complete(data) else "truncated JPEG (its end marker is missing)"
    if data.startswith(_PNG_SIGNATURE):
        return _png_damage(data)
    return "neither a JPEG nor a PNG file"


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether walking the markers reaches the end of the image.

    Bytes after it (padding, appended previews) do no harm, and an end marker inside an embedded thumbnail does not
    count: segments are skipped by their length.
    """
    position = 2
    while True:
        marker = _JPEG_NEXT_MARKER.search(data, position)
        if marker is None:
            return False
        code = data[marker.end() - 1]
        if code == _JPEG_END_OF_IMAGE:
            return True
        if marker.end() + 2 > len(data):
            return False
        # Any other marker here starts a segment that begins with its length. The entropy-coded data after a
        # start-of-scan segment are skipped by the search.
        position = marker.end() + struct.unpack(">H", data[marker.end() : marker.end() + 2])[0]


def _png_damage(data: bytes) -> str | None:
    """What is wrong with a PNG, found by walking its chunks: length, type, data, CRC (PNG specification, 5.3)."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        kind = data[position + 4 : position + 8]
        (crc,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[position + 4 : end - 4]) != crc:
            return f"corrupt PNG (checksum of its {kind.decode('latin-1')} chunk at byte {position})"
        if kind == b"IEND":
            return None
        position = end
    return "truncated PNG (its end chunk is missing)"
