"""Solid parts (tooth row, gum, eyeball): modelled at final resolution, driven by base.obj's helper meshes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Solid:
    """`vertices [V,3]` metres; `faces [F,3]`; `faces_uv [F,3]` into `uvs [T,2]` in [0,1]^2 of the part's own chart.

    `follow` maps displacements `[...,H,3]` of the helper mesh's vertices to displacements `[...,V,3]` of the solid,
    linearly: this transfers the identity basis to the solid.
    """

    vertices: np.ndarray
    faces: np.ndarray
    faces_uv: np.ndarray
    uvs: np.ndarray
    follow: Callable[[np.ndarray], np.ndarray]


def lathe_faces(rings: int, segments: int, closed_rings: bool = False) -> np.ndarray:
    """Triangles `[F,3]` of a tube of `rings` x `segments` vertices (ring-major), periodic in the segments.

    Faces are front-facing from outside if segments run counter-clockwise seen against increasing ring index.
    """
    last = rings if closed_rings else rings - 1
    r, s = np.meshgrid(np.arange(last), np.arange(segments), indexing="ij")
    a, b = r * segments + s, r * segments + (s + 1) % segments
    c, d = (r + 1) % rings * segments + (s + 1) % segments, (r + 1) % rings * segments + s
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def lathe_uvs(rings: int, segments: int, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A chart with one seam for `lathe_faces`, u around the tube and v given: uvs `[T,2]` and faces_uv `[F,3]`."""
    u = np.arange(segments + 1) / segments
    uvs = np.stack(np.broadcast_arrays(u[None], v[:, None]), -1).reshape(-1, 2)
    r, s = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    a = r * (segments + 1) + s
    b, c, d = a + 1, a + segments + 2, a + segments + 1
    return uvs, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume enclosed by a closed surface; positive if faces wind counter-clockwise seen from outside."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)
