"""Surfaces as one binary glTF file in memory, unlit: the browser shows the colours that it is given."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_FLOAT, _UINT32 = 5126, 5125
_ATTRIBUTES, _INDICES = 34962, 34963


@dataclass(frozen=True, eq=False)
class ColouredSurface:
    """positions `[N,3]`, linear colours `[N,3]` (see `tone`) and faces `[F,3]`; with a `texture`, an encoded JPEG file
    whose colours those are multiplied with, also its coordinates uvs `[N,2]` (u right, v up)."""

    positions: NDArray[np.float32]
    colours: NDArray[np.float32]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float32] | None = None
    texture: bytes | None = None


def glb(surfaces: Sequence[ColouredSurface]) -> bytes:
    """The surfaces as a GLB file (glTF 2.0, KHR_materials_unlit), seen from both sides. Those without faces are left
    out."""
    writer = _Buffer()
    primitives: list[dict[str, Any]] = []
    content: dict[str, Any] = {"materials": [], "images": [], "textures": []}
    for surface in surfaces:
        if not len(surface.faces):
            continue
        attributes = {
            "POSITION": writer.add(surface.positions.astype(np.float32), _ATTRIBUTES, bounds=True),
            "COLOR_0": writer.add(surface.colours.astype(np.float32), _ATTRIBUTES),
        }
        material: dict[str, Any] = {"doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}
        if surface.texture is not None and surface.uvs is not None:
            flipped = np.stack([surface.uvs[:, 0], 1 - surface.uvs[:, 1]], axis=1)  # glTF's v goes down
            attributes["TEXCOORD_0"] = writer.add(flipped.astype(np.float32), _ATTRIBUTES)
            content["images"].append({"mimeType": "image/jpeg", "bufferView": writer.add_bytes(surface.texture)})
            content["textures"].append({"source": len(content["images"]) - 1})
            material["pbrMetallicRoughness"] = {"baseColorTexture": {"index": len(content["textures"]) - 1}}
        indices = writer.add(surface.faces.astype(np.uint32).reshape(-1), _INDICES)
        primitives.append({"attributes": attributes, "indices": indices, "material": len(content["materials"])})
        content["materials"].append(material)
    document = {
        "asset": {"version": "2.0", "generator": "headfit"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}] if primitives else [{}],
        **({"meshes": [{"primitives": primitives}]} if primitives else {}),
        **{name: entries for name, entries in content.items() if entries},
        **writer.entries(),
    }
    return _container(json.dumps(document).encode(), writer.data)


def jpeg(picture: NDArray[np.uint8], quality: int = 92) -> bytes:
    """An RGB picture `[H,W,3]` as a JPEG file."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class _Buffer:
    """The binary part of a file, and what its JSON part says of it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)

    def add(self, values: NDArray[Any], target: int, bounds: bool = False) -> int:
        """Append an array; returns its accessor. bounds: state the smallest and largest values (positions must)."""
        accessor: dict[str, Any] = {
            "bufferView": self.add_bytes(values.tobytes(), target),
            "componentType": _UINT32 if values.dtype == np.uint32 else _FLOAT,
            "count": len(values),
            "type": "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}",
        }
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def add_bytes(self, data: bytes, target: int | None = None) -> int:
        """Append bytes at a multiple of four; returns their buffer view."""
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
        self._views.append(view | ({} if target is None else {"target": target}))
        padded = data + bytes(-len(data) % 4)
        self._parts.append(padded)
        self._length += len(padded)
        return len(self._views) - 1

    def entries(self) -> dict[str, Any]:
        """The entries of the JSON part; none for an empty buffer."""
        if not self._length:
            return {}
        return {
            "buffers": [{"byteLength": self._length}],
            "bufferViews": self._views,
            "accessors": self._accessors,
        }


def _container(document: bytes, data: bytes) -> bytes:
    """Header and chunks (glTF 2.0, chapter 4)."""
    document += b" " * (-len(document) % 4)
    chunks = struct.pack("<I4s", len(document), b"JSON") + document
    if data:
        chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
