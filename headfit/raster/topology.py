"""The connectivity of a triangle mesh, as `edge_grad` needs it."""

import weakref
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn


class Topology(nn.Module):
    """The connectivity of a triangle mesh: which faces share an edge, and which belong to one connected component.

    A module without parameters, whose tensors are buffers that `state_dict` leaves out: as a submodule, it moves with
    `.to(device)`.

    Args:
        faces: `[F,3]` integer vertex indices.

    Attributes:
        adjacency: `[F,3]` int32; `adjacency[f, k]` is the face across the edge opposite corner k of face f, or
            -1 where the edge is open or has more than two faces. A repeated face has no neighbours.
        components: `[F]` int32, the connected component of each face, numbered from 0; see `face_components`.

    Raises:
        ValueError: faces is not an `[F,3]` integer tensor.
    """

    adjacency: Tensor
    components: Tensor

    def __init__(self, faces: Tensor) -> None:
        super().__init__()
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.is_floating_point():
            raise ValueError(f"faces: expected integers [F,3], got {faces.dtype} {list(faces.shape)}")
        f = faces.detach().cpu().numpy().astype(np.int64)
        components = face_components(f).astype(np.int32)
        self.register_buffer("adjacency", torch.from_numpy(_adjacency(f)).to(faces.device), persistent=False)
        self.register_buffer("components", torch.from_numpy(components).to(faces.device), persistent=False)

    @staticmethod
    def of(faces: Tensor) -> "Topology":
        """The topology of this very tensor, built on first use and cached while the tensor lives.

        All callers share it, so do not move it to another device: a module that needs one builds its own.
        """
        return once(faces, _topologies, Topology)


def face_components(faces: np.ndarray) -> np.ndarray:
    """The connected component `[F]` int64 of each of `faces [F,3]`, numbered in order of lowest vertex.

    Faces that share a vertex belong to one component.
    """
    if len(faces) == 0:
        return np.zeros(0, np.int64)
    vertices = int(faces.max()) + 1
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    graph = coo_array((np.ones(len(start), bool), (start, end)), shape=(vertices, vertices))
    of_vertex = connected_components(graph, directed=False)[1][faces[:, 0]]
    return np.unique(of_vertex, return_inverse=True)[1]


def check_vertex_ids(faces: Tensor, vertices: int) -> None:
    """Checks that `faces [F,3]` refer to existing vertices.

    The values are read once per tensor; for a tensor on a GPU, that synchronizes with it.

    Raises:
        ValueError: a vertex index is not in [0, vertices).
    """
    least, greatest = once(faces, _ranges, _range)
    if least < 0 or greatest >= vertices:
        raise ValueError(f"faces: refer to vertices {least} to {greatest}, but there are {vertices} vertices")


def _range(faces: Tensor) -> tuple[int, int]:
    return (int(faces.min()), int(faces.max())) if faces.numel() > 0 else (0, -1)


Made = TypeVar("Made")
#: Of tensors, by their id: the tensor, its version, and what was made of it.
Cache = dict[int, tuple["weakref.ref[Tensor]", int, Made]]
_topologies: Cache[Topology] = {}
_ranges: Cache[tuple[int, int]] = {}


def once(x: Tensor, cache: Cache[Made], make: Callable[[Tensor], Made]) -> Made:
    """`make(x)`, cached while this very tensor lives and is not modified in place."""
    key = id(x)
    cached = cache.get(key)
    if cached is not None and cached[0]() is x and cached[1] == x._version:
        return cached[2]
    made = make(x)
    cache[key] = (weakref.ref(x, lambda _: cache.pop(key, None)), x._version, made)
    return made


def _adjacency(faces: np.ndarray) -> np.ndarray:
    adjacency, crowded = _neighbours(faces)
    if crowded and not (unhidden := _drawn_once(faces)).all():
        number = np.append(np.flatnonzero(unhidden), -1).astype(np.int32)
        adjacency[:] = -1
        adjacency[unhidden] = number[_neighbours(faces[unhidden])[0]]
    return adjacency


def _neighbours(faces: np.ndarray) -> tuple[np.ndarray, bool]:
    """The face across each edge `[F,3]`, -1 for none, and whether any edge has more than two faces."""
    # Side 3 f + k is the edge of face f opposite corner k. Sorting puts the sides of one edge next to each other.
    edges = np.sort(faces[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2), axis=1)
    key = edges[:, 0] * (edges.max(initial=0) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    count = np.diff(first, append=len(key))
    pair = first[count == 2]
    one, other = order[pair], order[pair + 1]
    adjacency = np.full(len(key), -1, np.int32)
    adjacency[one], adjacency[other] = other // 3, one // 3
    return adjacency.reshape(-1, 3), bool((count > 2).any())


def _drawn_once(faces: np.ndarray) -> np.ndarray:
    """`[F]` bool: False for a face that repeats an earlier one (which hides it), or has fewer than three vertices."""
    corners = np.sort(faces, axis=1)
    once = np.zeros(len(faces), bool)
    once[np.unique(corners, axis=0, return_index=True)[1]] = True
    return once & (np.diff(corners, axis=1) > 0).all(1)
