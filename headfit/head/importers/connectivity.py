"""Border loops and triangle fans: what follows from the faces of a mesh alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headfit.raster.topology import face_components
from headfit.types import Float, Int


def fan(polygon: Sequence[tuple[int, int]]) -> list[Sequence[tuple[int, int]]]:
    """Triangles of a polygon of (vertex, uv) corners, all sharing its first corner."""
    return [(polygon[0], polygon[i], polygon[i + 1]) for i in range(1, len(polygon) - 1)]


def border_loops(faces: Int) -> list[Int]:
    """Closed loops of vertices along edges that have a single face, each in order; open chains are left out."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in sides}
    following = {a: b for a, b in directed if (b, a) not in directed}
    loops = []
    while following:
        start, at = following.popitem()
        loop = [start]
        while at != start and at in following:
            loop.append(at)
            at = following.pop(at)
        if at == start and len(loop) > 2:
            loops.append(np.array(loop, dtype=np.int64))
    return loops


def neck_loop(vertices: Float, faces: Int) -> Int:
    """Vertices `[N]` around the open neck, in order: the lowest border of the largest component of a head (y up).

    Empty for a head that is closed below, that is, without a border entirely below the component's mid height.
    """
    component = face_components(faces)
    largest = faces[component == np.bincount(component).argmax()]
    height = vertices[np.unique(largest), 1]
    middle = (height.min() + height.max()) / 2
    below = [loop for loop in border_loops(largest) if vertices[loop, 1].max() < middle]
    return min(below, key=lambda loop: vertices[loop, 1].mean()) if below else np.zeros(0, dtype=np.int64)
