"""Palette PNGs, whose palette indices are the values of a mask."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

#: The lengths of a PNG file's signature and of its header chunk, and in this the places of depth and colour type (PNG
#: specification, 5.2 and 11.2.2).
_SIGNATURE, _HEADER, _DEPTH, _COLOUR = 8, 13, 8, 9
_GREYSCALE, _PALETTE = 0, 3
#: Bits of a palette's indices.
_DEPTHS = (1, 2, 4, 8)


def has_colours(png: bytes) -> bool:
    """Whether a complete PNG file has a palette that is not all grey. (In a grey one the levels are the values.)"""
    chunks = dict(_chunks(png))
    header, palette = chunks.get(b"IHDR", b""), chunks.get(b"PLTE", b"")
    if len(header) != _HEADER or header[_COLOUR] != _PALETTE or header[_DEPTH] not in _DEPTHS:
        return False
    return not palette[::3] == palette[1::3] == palette[2::3]


def with_indices(png: bytes) -> tuple[bytes, int]:
    """A PNG with colours in its palette as one in grey, and the divisor that makes its decoded values the indices.

    Pixels are stored alike in both (PNG specification, 7.2), so the header changes and the palette goes. Values of less
    than 8 bits are stretched to 0 .. 255 when they are decoded.
    """
    chunks = list(_chunks(png))
    header = bytearray(dict(chunks)[b"IHDR"])
    header[_COLOUR] = _GREYSCALE
    kept = [(b"IHDR", bytes(header)), *((kind, data) for kind, data in chunks if kind in (b"IDAT", b"IEND"))]
    return png[:_SIGNATURE] + b"".join(_chunk(*each) for each in kept), 255 // (2 ** header[_DEPTH] - 1)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = _SIGNATURE
    while position + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, position)
        yield png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        position += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
