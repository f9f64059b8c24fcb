"""True meshes that come with some captures, for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headfit.errors import HeadfitError
from headfit.files import damage_named
from headfit.npz import read_npz
from headfit.types import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class TrueMeshes:
    """True meshes of a capture: one topology, and the vertices of each frame.

    Attributes:
        source: where they come from, for messages.
        faces: `[F,3]` int64, vertex indices.
        face_parts: `[F]` int64, index into `part_names`.
        part_names: names of the parts, for example "skin" or "upper_teeth".
        face_rendered: `[F]` bool, the faces that the images show.
        under_hair: `[V]` bool, the vertices that hair hides in every image; None when unknown.
        read_vertices: from a frame's name to world vertices `[V,3]` in metres, None for a frame without a mesh.
    """

    source: str
    faces: Int
    face_parts: Int
    part_names: list[str]
    face_rendered: Bool
    under_hair: Bool | None
    read_vertices: Callable[[str], Float | None]

    def vertices(self, frame: str) -> Float | None:
        """World vertices `[V,3]` of a frame in metres, or None when it has no mesh.

        Raises HeadfitError when there are fewer vertices than the faces refer to.
        """
        vertices = self.read_vertices(frame)
        if vertices is not None and len(vertices) <= self.faces.max():
            raise HeadfitError(
                f"{self.source}: frame {frame} has {len(vertices)} vertices, but the faces refer to vertex "
                f"{self.faces.max()}"
            )
        return vertices

    def part_vertices(self, part: int) -> Int:
        """Indices of the vertices of one part (an index into `part_names`)."""
        return np.unique(self.faces[self.face_parts == part])


def read_true_meshes(folder: Path, metres_per_unit: float) -> TrueMeshes | None:
    """The meshes of `topology.npz` and `<frame>.npz` in `folder`; None when there is no topology.

    Topology: faces `[F,3]`, face_parts `[F]` (or face_part) and part_names; optionally face_rendered `[F]` and
    field_hair `[V]`, positive under hair. Raises HeadfitError when a required array is missing.
    """
    path = folder / "topology.npz"
    if not path.is_file():
        return None

    def read_vertices(frame: str) -> Float | None:
        file = folder / f"{frame}.npz"
        if not file.is_file():
            return None
        arrays = read_npz(file)
        if "vertices" not in arrays:
            raise HeadfitError(f"{file}: the array 'vertices' is missing")
        vertices: Float = arrays["vertices"].astype(np.float64) * metres_per_unit
        return vertices

    arrays = read_npz(path)
    with damage_named(path, "a topology"):
        parts = "face_parts" if "face_parts" in arrays else "face_part"
        for name in ("faces", parts, "part_names"):
            if name not in arrays:
                raise HeadfitError(f"{path}: the array '{name}' is missing")
        faces = arrays["faces"].astype(np.int64)
        return TrueMeshes(
            source=str(folder),
            faces=faces,
            face_parts=arrays[parts].astype(np.int64),
            part_names=[str(name) for name in arrays["part_names"]],
            face_rendered=arrays["face_rendered"] if "face_rendered" in arrays else np.ones(len(faces), bool),
            under_hair=arrays["field_hair"] > 0 if "field_hair" in arrays else None,
            read_vertices=read_vertices,
        )
