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
#: Position of the bit depth in a PNG file: its header chunk is the first (PNG specification, 11.2.2).
_PNG_BIT_DEPTH = 24
_TIFF_BYTE_ORDER = {b"II*\0": "<", b"MM\0*": ">"}
#: Values of TIFF's compression tag that lose information: JPEG, JPEG 2000, WebP.
_LOSSY_TIFF = {6, 7, 33003, 33005, 34712, 50001}
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
    """A JPEG, PNG, TIFF or WebP as RGB `[H,W,3]` uint8. Raises DamagedFile.

    Pixels are as stored: an EXIF rotation is not applied, since calibrations refer to stored pixels.
    """
    data = _read(path)
    if data.startswith(_PNG_SIGNATURE) and data[_PNG_BIT_DEPTH] == 16:
        brightest = int(_decode(path, data, cv2.IMREAD_UNCHANGED).max())
        if brightest < 4096:  # as 8 bits it would be black
            raise DamagedFile(
                path,
                f"16-bit PNG whose brightest value is {brightest}: {max(brightest, 1).bit_length()} bits of data in "
                "16. Stretch the values to 65535, or save 8 bits",
            )
    return _decode(path, data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def read_label_image(path: Path) -> NDArray[np.uint8]:
    """The class values `[H,W]` of a single-channel 8-bit PNG, TIFF or lossless WebP. Raises DamagedFile."""
    data = _read(path)
    if _is_lossy(data):
        raise DamagedFile(path, "lossy compression changes class values: save masks as PNG, from the originals")
    mask = _decode(path, data, cv2.IMREAD_UNCHANGED)
    if data.startswith(b"RIFF") and mask.ndim == 3 and (mask[..., :3] == mask[..., :1]).all():
        mask = mask[..., 0]  # WebP knows no greyscale
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = 1 if mask.ndim == 2 else mask.shape[2]
        raise DamagedFile(
            path,
            f"a mask must be one 8-bit channel of class values, this has {channels} of {mask.dtype} "
            "(a palette PNG decodes to colours: save it as greyscale)",
        )
    return mask


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedFile(path, f"cannot be read ({error.strerror})") from error
    fault = find_damage(data)
    if fault is not None:
        raise DamagedFile(path, fault)
    return data


def _decode(path: Path, data: bytes, flags: int) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise DamagedFile(path, "cannot be decoded")
    return np.asarray(pixels)


def find_damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file; None when they are complete. (A TIFF is left to its decoder.)"""
    if not data:
        return "empty file"
    if data.startswith(b"\xff\xd8"):
        return None if _jpeg_is_complete(data) else "truncated JPEG (its end marker is missing)"
    if data.startswith(_PNG_SIGNATURE):
        return _png_damage(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return None if len(data) >= 8 + struct.unpack_from("<I", data, 4)[0] else "truncated WebP"
    if data[:4] in _TIFF_BYTE_ORDER:
        return None
    return "neither a JPEG nor a PNG file, a TIFF or a WebP"


def _is_lossy(data: bytes) -> bool:
    """Whether the decoded values of a complete image file differ from those that were saved."""
    if data.startswith(b"RIFF"):
        return b"VP8 " in data[12:16] or (data[12:16] == b"VP8X" and b"VP8L" not in data)
    if data[:4] in _TIFF_BYTE_ORDER:
        return _tiff_compression(data) in _LOSSY_TIFF
    return data.startswith(b"\xff\xd8")


def _tiff_compression(data: bytes) -> int:
    """Tag 259 of the first image of a TIFF (TIFF 6.0, section 8); 1, uncompressed, where it is not found."""
    order = _TIFF_BYTE_ORDER[data[:4]]
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", data, start + 2 + 12 * entry)
            if tag == 259:
                return int(value)
    except struct.error:
        pass
    return 1


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
