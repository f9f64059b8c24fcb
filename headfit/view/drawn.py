"""Surfaces as a browser draws them: one vertex for each combination of position, texture coordinates and label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headfit.export import MeshTopology

#: What is shown and hidden together, by words in the names of parts; what has none of them is skin.
GROUPS = {"teeth": ("teeth", "gums"), "tongue": ("tongue",), "eyes": ("eye", "socket"), "mouth": ("mouth",)}
SKIN, HAIR = "skin", "hair"


@dataclass(frozen=True, eq=False)
class DrawnSurface:
    """A surface of N drawn vertices.

    source `[N]`: its vertex of the mesh. uvs `[N,2]`: u right, v up, in [0, 1]. label `[N]`: index into `label_names`.
    faces `[F,3]` int64: drawn vertices. group `[F]`: index into `groups`, names of what is shown and hidden together.
    """

    source: NDArray[np.int64]
    uvs: NDArray[np.float32]
    label: NDArray[np.int64]
    faces: NDArray[np.int64]
    group: NDArray[np.int64]
    label_names: list[str]
    groups: list[str]

    @classmethod
    def of(cls, topology: MeshTopology) -> DrawnSurface:
        """The drawn form of a mesh. Vertices on a seam of the texture, or where labels meet, are repeated."""
        label = np.repeat(topology.face_labels, 3)
        corners = np.stack([topology.faces.reshape(-1), topology.faces_uv.reshape(-1), label]).astype(np.int64)
        sizes = corners.max(axis=1, initial=0) + 1
        _, first, drawn = np.unique(np.ravel_multi_index(tuple(corners), sizes), return_index=True, return_inverse=True)
        source, uv, label = corners[:, first]
        group_of_part = [group_of(str(name)) for name in topology.part_names]
        groups = [name for name in (SKIN, HAIR, *GROUPS) if name in group_of_part]
        index = np.array([groups.index(name) for name in group_of_part], np.int64)
        return cls(
            source=source,
            uvs=topology.uvs[uv].astype(np.float32),
            label=label,
            faces=drawn.reshape(-1, 3),
            group=index[topology.face_parts],
            label_names=[str(name) for name in topology.label_names],
            groups=groups,
        )

    def shown_faces(self, hidden: frozenset[str] = frozenset()) -> NDArray[np.int64]:
        """The faces `[S,3]` that are not in one of the hidden groups."""
        kept = np.array([name not in hidden for name in self.groups], bool)
        return self.faces[kept[self.group]]


def group_of(part: str) -> str:
    """The group that a part of a head belongs to."""
    for group, words in GROUPS.items():
        if any(word in part for word in words):
            return group
    return HAIR if part == HAIR else SKIN
