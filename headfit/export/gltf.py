"""Writing binary glTF 2.0: the JSON part, and the buffer that its accessors cut into arrays."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from headfit.files import failures_named

FLOAT, UNSIGNED_BYTE, UNSIGNED_INT = 5126, 5121, 5125
_DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT: np.dtype("<f4"),
    UNSIGNED_BYTE: np.dtype("u1"),
    UNSIGNED_INT: np.dtype("<u4"),
}
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963


class GltfFile:
    """A glTF in memory. `content` is its JSON, whose lists its user fills; buffers and accessors fill themselves."""

    def __init__(self, comment: str) -> None:
        self.content: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "headfit", "extras": {"axes": comment}}
        }
        self._chunks: list[bytes] = []
        self._size = 0

    def append(self, kind: str, entry: dict[str, Any]) -> int:
        """Append an entry to one of the lists of the JSON, such as "nodes"; its index."""
        entries: list[dict[str, Any]] = self.content.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def view(self, data: bytes, target: int | None = None) -> int:
        """Index of a new buffer view with these bytes; target: what vertices or indices are bound to."""
        padded = data + b"\0" * (-len(data) % 4)
        entry = {"buffer": 0, "byteOffset": self._size, "byteLength": len(data)}
        self._chunks.append(padded)
        self._size += len(padded)
        return self.append("bufferViews", entry | ({"target": target} if target else {}))

    def accessor(
        self, values: np.ndarray, component: int = FLOAT, target: int | None = None, bounds: bool = False
    ) -> int:
        """Index of a new accessor.

        Args:
            values: `[N]`, `[N,2]`, `[N,3]`, `[N,4]`, or `[N,4,4]` whose matrices transform column vectors.
            component: the type of its numbers.
            target: VERTEX_BUFFER, INDEX_BUFFER, or None for other data.
            bounds: state the least and greatest numbers, as positions and times must.
        """
        stored = np.ascontiguousarray(values.swapaxes(1, 2) if values.ndim == 3 else values, _DTYPES[component])
        entry = self._entry(stored, component, bounds)
        return self.append("accessors", {"bufferView": self.view(stored.tobytes(), target)} | entry)

    def sparse_accessor(self, values: np.ndarray, bounds: bool = False) -> int:
        """Index of a new accessor of floats `[N,3]` that stores only the rows that are not 0, where most are 0."""
        stored = np.ascontiguousarray(values, _DTYPES[FLOAT])
        rows = np.flatnonzero(stored.any(axis=1))
        if 2 * len(rows) > len(stored):
            return self.accessor(stored, bounds=bounds, target=VERTEX_BUFFER)
        entry = self._entry(stored, FLOAT, bounds)
        if len(rows):
            indices = self.view(rows.astype("<u4").tobytes())
            entry["sparse"] = {
                "count": len(rows),
                "indices": {"bufferView": indices, "componentType": UNSIGNED_INT},
                "values": {"bufferView": self.view(stored[rows].tobytes())},
            }
        return self.append("accessors", entry)

    @staticmethod
    def _entry(stored: np.ndarray, component: int, bounds: bool) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "componentType": component, "count": len(stored), "type": _TYPES[stored.shape[1:]]
        }  # fmt: skip
        if bounds:
            flat = stored.reshape(len(stored), -1)
            entry |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        return entry

    def save(self, path: Path) -> None:
        """Write the .glb. Raises HeadfitError where that fails."""
        content = self.content | {"buffers": [{"byteLength": self._size}]}
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        with failures_named(path), open(path, "wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + self._size))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            file.write(struct.pack("<I4s", self._size, b"BIN\0"))
            file.writelines(self._chunks)
