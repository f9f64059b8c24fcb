"""What the bytes of an image file say before they are decoded: damage, size, depth, orientation.

Some versions of OpenCV decode a truncated JPEG without an error: the missing rows come out grey, and would be fitted.
So a file is checked for completeness before it is decoded, and its size before memory is taken for it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8"
EXR_SIGNATURE = b"\x76\x2f\x31\x01"
_TIFF_BYTE_ORDER = {b"II*\0": "<", b"MM\0*": ">"}
#: TIFF tags (TIFF 6.0, section 8; 274 is also EXIF's).
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION = 256, 257, 258, 259, 274
#: Values of TIFF's compression tag that lose information: JPEG, JPEG 2000, WebP.
_LOSSY_TIFF = {6, 7, 33003, 33005, 34712, 50001}
# In entropy-coded JPEG data FF is followed by 00 (a stuffed FF), D0..D7 (restart) or FF (fill). Anything else is the
# next marker (ITU-T T.81, B.1.1).
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_END_OF_IMAGE = 0xD9
#: Markers of a frame header (ITU-T T.81, table B.1).
_JPEG_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
#: Clockwise turns in degrees that EXIF's orientation asks for; the other values mirror.
EXIF_TURNS = {1: 0, 3: 180, 6: 90, 8: 270}


def find_damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file; None when they are complete. (TIFF and EXR are left to their
    decoders.)"""
    if not data:
        return "empty file"
    if data.startswith(JPEG_SIGNATURE):
        return None if _jpeg_is_complete(data) else "truncated JPEG (its end marker is missing)"
    if data.startswith(PNG_SIGNATURE):
        return _png_damage(data)
    if is_webp(data):
        return None if len(data) >= 8 + struct.unpack_from("<I", data, 4)[0] else "truncated WebP"
    if is_avif(data):
        return None if _boxes_are_complete(data) else "truncated AVIF"
    if is_tiff(data) or data.startswith(EXR_SIGNATURE):
        return None
    return "neither a JPEG nor a PNG file, an AVIF, a WebP, a TIFF or an EXR"


def is_webp(data: bytes) -> bool:
    """Whether these are the bytes of a WebP."""
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def is_avif(data: bytes) -> bool:
    """Whether these are the bytes of an AVIF, or of another image in its container."""
    return data[4:8] == b"ftyp"


def is_tiff(data: bytes) -> bool:
    """Whether these are the bytes of a TIFF."""
    return data[:4] in _TIFF_BYTE_ORDER


def is_lossy(data: bytes) -> bool:
    """Whether the decoded values of a complete image file differ from those that were saved."""
    if is_webp(data):
        return b"VP8 " in data[12:16] or (data[12:16] == b"VP8X" and b"VP8L" not in data)
    if is_tiff(data):
        return _tiff_tag(data, _COMPRESSION, 1) in _LOSSY_TIFF
    return data.startswith(JPEG_SIGNATURE) or is_avif(data)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a complete image file; None where its header does not tell."""
    try:
        if data.startswith(PNG_SIGNATURE):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(JPEG_SIGNATURE):
            return _jpeg_size(data)
        if is_webp(data):
            return _webp_size(data)
        if is_tiff(data):
            return _tiff_tag(data, _WIDTH, 0), _tiff_tag(data, _HEIGHT, 0)
        if is_avif(data):  # the largest: a grid has a size for each tile and one for the whole
            sizes = [struct.unpack_from(">II", data, at.end() + 4) for at in re.finditer(b"ispe", data[: 1 << 16])]
            return max(sizes, default=None)
        left, top, right, bottom = struct.unpack_from("<4i", data, data.index(b"dataWindow\0box2i\0") + 21)
        return right - left + 1, bottom - top + 1
    except (struct.error, ValueError):
        return None


def bit_depth(data: bytes) -> int:
    """Bits of a channel of a PNG, TIFF or AVIF; 8 where that is not said."""
    if data.startswith(PNG_SIGNATURE):
        return data[24]  # its header chunk is the first (PNG specification, 11.2.2)
    if is_tiff(data):
        return _tiff_tag(data, _BITS, 8)
    at = data.find(b"pixi") if is_avif(data) else -1
    return data[at + 9] if 0 <= at < len(data) - 9 else 8


def exif_orientation(data: bytes) -> int:
    """EXIF's orientation, 1 to 8, of an image file; 1 (as stored) where there is none."""
    if is_tiff(data):
        return _tiff_tag(data, _ORIENTATION, 1)
    for signature, mark, skip in ((JPEG_SIGNATURE, b"Exif\0\0", 6), (PNG_SIGNATURE, b"eXIf", 4), (b"RIFF", b"EXIF", 8)):
        at = data.find(mark, 0, None if signature == b"RIFF" else 1 << 16) if data.startswith(signature) else -1
        if at >= 0 and is_tiff(data[at + skip : at + skip + 4]):
            return _tiff_tag(data[at + skip :], _ORIENTATION, 1)
    return 1


def without_orientation(data: bytes) -> bytes:
    """The same image file; a TIFF without its orientation, which OpenCV applies even when asked not to."""
    found = _tiff_value(data, _ORIENTATION) if is_tiff(data) else None
    if found is None:
        return data
    where, form = found
    return data[:where] + struct.pack(form, 1) + data[where + struct.calcsize(form) :]


def _tiff_tag(data: bytes, tag: int, default: int) -> int:
    """The first value of a tag of a TIFF's first image; `default` where it is not found."""
    found = _tiff_value(data, tag)
    return default if found is None else int(struct.unpack_from(found[1], data, found[0])[0])


def _tiff_value(data: bytes, tag: int) -> tuple[int, str] | None:
    """Where the first value of a tag of a TIFF's first image is, and its form (TIFF 6.0, section 2)."""
    order = _TIFF_BYTE_ORDER[data[:4]]
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            found, kind, count = struct.unpack_from(order + "HHI", data, at)
            if found == tag and kind in (3, 4):
                form = order + ("H" if kind == 3 else "I")  # short, long
                size = struct.calcsize(form)
                where = at + 8 if count * size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
                return (where, form) if where + size <= len(data) else None
    except struct.error:
        pass
    return None


def _webp_size(data: bytes) -> tuple[int, int]:
    """By its first chunk (RFC 9649): extended, lossless or lossy."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Code and position (after the marker) of every segment, the end of the image included where it is reached.

    Bytes after it (padding, appended previews) do no harm, and an end marker inside an embedded thumbnail does not
    count: segments are skipped by their length.
    """
    position = 2
    while marker := _JPEG_NEXT_MARKER.search(data, position):
        code = data[marker.end() - 1]
        yield code, marker.end()
        if code == _JPEG_END_OF_IMAGE or marker.end() + 2 > len(data):
            return
        # Any other marker here starts a segment that begins with its length. The entropy-coded data after a
        # start-of-scan segment are skipped by the search.
        position = marker.end() + struct.unpack(">H", data[marker.end() : marker.end() + 2])[0]


def _jpeg_is_complete(data: bytes) -> bool:
    return any(code == _JPEG_END_OF_IMAGE for code, _ in _jpeg_segments(data))


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for code, at in _jpeg_segments(data):
        if code in _JPEG_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
    return None


def _boxes_are_complete(data: bytes) -> bool:
    """Whether the outermost boxes (ISO/IEC 14496-12, 4.2) end where the file does, or before."""
    position = 0
    while position + 8 <= len(data):
        size: int
        (size,) = struct.unpack_from(">I", data, position)
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        if size == 0:  # to the end of the file
            return True
        if size < 8:
            return False
        position += size
    return position <= len(data)


def _png_damage(data: bytes) -> str | None:
    """What is wrong with a PNG, found by walking its chunks: length, type, data, CRC (PNG specification, 5.3)."""
    position = len(PNG_SIGNATURE)
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
