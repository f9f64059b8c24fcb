"""Hostile versions of good files: bytes, tokens and structure changed at random, by a seed."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

#: What a number or a value of a text file is replaced by.
TOKENS = [
    b"-1",
    b"0",
    b"1e308",
    b"-1e308",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
    b"99999999999999",
]
TOKENS += [b"1.5", b'"' + b"a" * 3000 + b'"', "\u2028\u00e9".encode(), b"[" * 400, b"2147483648", b"-0"]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
    [],
    {},
    [[]],
    2**63,
    "\ud800",
]
PNG = b"\x89PNG\r\n\x1a\n"
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")


def mutate(data: bytes, draw: random.Random) -> bytes:
    """`data` after one to four random changes."""
    changes: list[Callable[[bytes, random.Random], bytes]] = [_bytes, _truncate, _splice, _integer]
    if _is_text(data):
        changes += [_token] * 4 + [_line] * 2 + [_json_node] * 6
    if data.startswith(b"PK"):
        changes += [_zip_member] * 6
    if data.startswith(PNG):
        changes += [_png_chunk] * 6
    for _ in range(draw.randint(1, 4)):
        data = draw.choice(changes)(data, draw)
    return data


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:1000]


def _bytes(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 4, 32])):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randint(0, len(data))]


def _splice(data: bytes, draw: random.Random) -> bytes:
    """A part removed, repeated, or put elsewhere."""
    a, b = sorted(draw.randint(0, len(data)) for _ in range(2))
    b = min(b, a + 4096)
    part = draw.choice([b"", data[a:b] * 2, draw.randbytes(draw.randint(0, 64))])
    return data[:a] + part + data[b:]


def _integer(data: bytes, draw: random.Random) -> bytes:
    """An extreme 2- or 4-byte integer somewhere: sizes and offsets of binary files."""
    at = draw.randint(0, max(0, len(data) - 4))
    value = draw.choice([0, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x00FFFFFF, 0xFFFF0000])
    size = draw.choice([2, 4])
    return data[:at] + value.to_bytes(4, draw.choice(["little", "big"]))[:size] + data[at + size :]


def _token(data: bytes, draw: random.Random) -> bytes:
    found = list(NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    chosen = draw.choice(found)
    return data[: chosen.start()] + draw.choice(TOKENS) + data[chosen.end() :]


def _line(data: bytes, draw: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at : at + 1] = draw.choice(
        [[], [lines[at]] * 2, [b" " * draw.randint(1, 9) + lines[at]], [b"\xff\xfe" + lines[at]]]
    )
    return b"\n".join(lines)


def _json_node(data: bytes, draw: random.Random) -> bytes:
    """One value of a JSON file replaced, or one key removed."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    node: Any = content
    while isinstance(node, dict | list) and node:
        key = draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if draw.random() < 0.3 or not isinstance(node[key], dict | list) or not node[key]:
            if draw.random() < 0.2:
                del node[key]
            else:
                node[key] = draw.choice(VALUES)
            break
        node = node[key]
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _zip_member(data: bytes, draw: random.Random) -> bytes:
    """One member of a zip archive changed or left out, with checksums that are right again: npz and checkpoints."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # an earlier change broke it
        return data
    if not members:
        return data
    # Small members describe the large ones, and a header is at the start: most changes go there.
    name = min(draw.sample(list(members), min(2, len(members))), key=lambda name: len(members[name]))
    if draw.random() < 0.1:
        del members[name]
    else:
        head = draw.choice([128, 1024, len(members[name])])
        change = draw.choice([_bytes, _truncate, _splice, _integer, _token])
        members[name] = change(members[name][:head], draw) + members[name][head:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _png_chunk(data: bytes, draw: random.Random) -> bytes:
    """One chunk of a PNG changed, with a checksum that is right again."""
    chunks, at = [], len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return data
    chosen = draw.randrange(len(chunks))
    kind, body = chunks[chosen]
    body = draw.choice([_bytes, _integer, _integer, _truncate])(body, draw)
    chunks[chosen] = (draw.choice([kind] * 9 + [b"tEXt"]), body)
    return PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
