"""What follows from a mesh's faces alone: pieces, borders, triangles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

Int = NDArray[np.int64]


def fan(polygon: Sequence[tuple[int, int]]) -> list[Sequence[tuple[int, int]]]:
    """Triangles of a polygon of (vertex, uv) corners, all from its first corner."""
    return [(polygon[0], polygon[i], polygon[i + 1]) for i in range(1, len(polygon) - 1)]


def face_components(faces: Int, vertex_count: int) -> Int:
    """The connected piece `[F]` that each of `faces [F,3]` belongs to, numbered from 0."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = sp.coo_matrix((np.ones(len(sides)), sides.T), shape=(vertex_count, vertex_count))
    of_vertex = connected_components(graph, directed=False)[1]
    return np.unique(of_vertex[faces[:, 0]], return_inverse=True)[1]


def border_loops(faces: Int) -> list[Int]:
    """Closed loops of vertices along edges that have a single face, each in order; broken chains are left out."""
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


def neck_loop(vertices: NDArray[np.float64], faces: Int) -> Int:
    """The border of the open neck `[N]`: of the largest piece of a head (y up), the border that lies lowest.

    Empty where the head is closed below, that is, where no border lies below the piece's middle.
    """
    piece = face_components(faces, len(vertices))
    largest = faces[piece == np.bincount(piece).argmax()]
    height = vertices[np.unique(largest), 1]
    middle = (height.min() + height.max()) / 2
    below = [loop for loop in border_loops(largest) if vertices[loop, 1].max() < middle]
    return min(below, key=lambda loop: vertices[loop, 1].mean()) if below else np.zeros(0, dtype=np.int64)
