"""Mesh file readers: OBJ files line by line, which keeps their vertex order; PLY and GLB through trimesh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from headfit.errors import HeadfitError
from headfit.files import one_line, read_text
from headfit.head.importers.connectivity import fan
from headfit.types import Float, Int

SUFFIXES = (".obj", ".ply", ".glb", ".gltf")


@dataclass
class RawMesh:
    """A mesh as its file has it.

    Attributes:
        vertices: `[V,3]` in the file's units and axes.
        faces: `[F,3]`.
        corner_uvs: `[F,3,2]`, or None.
        regions: `[F]`, the names that the file gives each face (material, group, object).
    """

    vertices: Float
    faces: Int
    corner_uvs: Float | None
    regions: list[frozenset[str]]


def read_mesh(path: Path) -> RawMesh:
    """The mesh in an OBJ, PLY or GLB file, polygons split into triangle fans. Raises HeadfitError, naming the file."""
    if not path.is_file():
        raise HeadfitError(f"{path}: no such file")
    if path.suffix.lower() not in SUFFIXES:
        raise HeadfitError(f"{path}: not a mesh format that can be read; known: {', '.join(SUFFIXES)}")
    try:
        mesh = _read_obj(path) if path.suffix.lower() == ".obj" else _read_with_trimesh(path)
    except HeadfitError:
        raise
    except Exception as error:  # trimesh raises all kinds of exceptions
        raise HeadfitError(f"{path}: cannot be read as a mesh ({one_line(error)})") from error
    if not np.isfinite(mesh.vertices).all():
        raise HeadfitError(f"{path}: holds vertices that are not finite")
    if not len(mesh.faces):
        raise HeadfitError(f"{path}: has no faces")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise HeadfitError(f"{path}: a face refers to a vertex that does not exist (there are {len(mesh.vertices)})")
    return mesh


def read_positions(path: Path, count: int) -> Float:
    """Only the vertices `[count,3]` of a mesh file. Raises HeadfitError if the file has another number of them."""
    if path.suffix.lower() == ".obj":
        try:
            lines = read_text(path, replace_invalid=True).splitlines()
            vertices = _positions(lines)
        except (OSError, ValueError, IndexError) as error:
            raise HeadfitError(f"{path}: cannot be read as an OBJ file ({one_line(error)})") from error
    else:
        vertices = read_mesh(path).vertices
    if not np.isfinite(vertices).all():
        raise HeadfitError(f"{path}: holds vertices that are not finite")
    if len(vertices) != count:
        raise HeadfitError(f"{path}: has {len(vertices)} vertices, the neutral mesh has {count}")
    return vertices


def _positions(lines: list[str]) -> Float:
    rows = [line.split()[1:4] for line in lines if line.startswith("v ")]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _read_obj(path: Path) -> RawMesh:
    try:
        lines = read_text(path, replace_invalid=True).splitlines()
        vertices = _positions(lines)
        uvs = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], dtype=np.float64)
        named = {"usemtl": "", "g": "", "o": ""}
        triangles, regions = [], []
        for line in lines:
            word, _, rest = line.partition(" ")
            if word in named:
                named[word] = rest.strip()
            elif word == "f":
                corners = [_corner(item, len(vertices), len(uvs)) for item in rest.split()]
                here = fan(corners)
                triangles += here
                regions += [frozenset(name for name in named.values() if name)] * len(here)
    except (OSError, ValueError, IndexError) as error:
        raise HeadfitError(f"{path}: cannot be read as an OBJ file ({one_line(error)})") from error
    index = np.array(triangles, dtype=np.int64).reshape(-1, 3, 2)
    has_uvs = len(uvs) > 0 and index[..., 1].min(initial=0) >= 0 and index[..., 1].max(initial=0) < len(uvs)
    return RawMesh(vertices, index[..., 0], uvs[index[..., 1]] if has_uvs else None, regions)


def _corner(item: str, vertices: int, uvs: int) -> tuple[int, int]:
    """(vertex, uv) of a face's corner, counted from 0; uv is -1 if it has none. Negative numbers count from the end."""
    fields = item.split("/")
    vertex = int(fields[0])
    uv = int(fields[1]) if len(fields) > 1 and fields[1] else 0
    return (vertex - 1 if vertex > 0 else vertices + vertex), (uv - 1 if uv >= 0 else uvs + uv)


def _read_with_trimesh(path: Path) -> RawMesh:
    scene = trimesh.load_scene(path, process=False)
    vertices, faces, uvs, regions = [], [], [], []
    count = 0
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        uv = getattr(geometry.visual, "uv", None)
        material = getattr(getattr(geometry.visual, "material", None), "name", None)
        vertices.append(trimesh.transform_points(geometry.vertices, transform))
        faces.append(np.asarray(geometry.faces, dtype=np.int64) + count)
        uvs.append(None if uv is None else np.asarray(uv, dtype=np.float64)[geometry.faces])
        regions += [frozenset(str(n) for n in (name, material) if n)] * len(geometry.faces)
        count += len(geometry.vertices)
    if not faces:
        raise HeadfitError(f"{path}: has no faces")
    corner_uvs: Float | None = None if any(uv is None for uv in uvs) else np.concatenate(uvs)  # type: ignore[arg-type]
    return RawMesh(np.concatenate(vertices), np.concatenate(faces), corner_uvs, regions)
