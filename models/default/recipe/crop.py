"""Crop the head from MakeHuman's body: one skin (with mouth cavity and eye sockets), and the tongue."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from makehuman import BODY, TONGUE, BaseMesh, Source
from scipy.sparse.csgraph import connected_components

from headfit.modelling.subdivision import edges_of

# A body vertex belongs to the head if the neck01 subtree has more than this share of its skinning weight and it is
# above the chest; of the selected faces only the largest connected component is kept.
NECK_WEIGHT = 0.02
CHEST_HEIGHT = 0.5  # metres, in base.obj's own frame


@dataclass(frozen=True)
class SoftMesh:
    """The subdivided parts of the cage. Vertex indices are local; `ids [V]` gives their base.obj ids.

    `islands [Q]`: name of the surface a quad belongs to: skin, chest, mouth_cavity, left_socket, right_socket,
    tongue. Every island except "skin" and "chest" is a region bounded by one loop; each has one UV chart.
    """

    ids: np.ndarray
    quads: np.ndarray
    quads_uv: np.ndarray
    islands: np.ndarray

    def local(self, ids: np.ndarray) -> np.ndarray:
        """Local indices of base.obj ids. Raises KeyError for a vertex that the crop dropped."""
        position = np.searchsorted(self.ids, ids)
        if (position >= len(self.ids)).any() or (self.ids[position.clip(max=len(self.ids) - 1)] != ids).any():
            raise KeyError("a base.obj vertex that is not part of the head")
        return position

    def loop_between(self, a: str, b: str) -> np.ndarray:
        """Edges `[E,2]` shared by a quad of island `a` and one of island `b`."""
        edges, side_edge, _ = edges_of(self.quads)
        touched = [np.isin(np.arange(len(edges)), side_edge[self.islands == name]) for name in (a, b)]
        return edges[touched[0] & touched[1]]


def bone_subtree(source: Source, root: str) -> set[str]:
    parents = source.bone_parents()
    found = {root}
    while more := {bone for bone, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def crop(source: Source, base: BaseMesh) -> SoftMesh:
    n = len(base.vertices)
    weights = source.skin_weights(n)
    head_weight = sum(weights[bone] for bone in bone_subtree(source, "neck01") if bone in weights)
    inside = (head_weight > NECK_WEIGHT) & (base.vertices[:, 1] > CHEST_HEIGHT) & (np.arange(n) < BODY.stop)
    body = inside[base.quads].all(1)
    body &= np.isin(base.quads[:, 0], _largest_component(base.quads[body], n))
    tongue = ((base.quads >= TONGUE.start) & (base.quads < TONGUE.stop)).all(1)
    chosen = np.flatnonzero(body | tongue)
    quads_uv = base.quads_uv[chosen]
    ids, quads = np.unique(base.quads[chosen], return_inverse=True)
    centres = base.vertices[base.quads[chosen]].mean(1)
    return SoftMesh(ids, quads.reshape(-1, 4), quads_uv, _name_islands(quads_uv, centres, tongue[chosen]))


def _largest_component(quads: np.ndarray, vertex_count: int) -> np.ndarray:
    edges, _, _ = edges_of(quads)
    graph = sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(vertex_count, vertex_count))
    _, component = connected_components(graph, directed=False)
    sizes = np.bincount(component[np.unique(quads)])
    return np.flatnonzero(component == sizes.argmax())


def _name_islands(quads_uv: np.ndarray, centres: np.ndarray, tongue: np.ndarray) -> np.ndarray:
    """The island name of each quad `[Q]`, from the size and position of MakeHuman's UV islands, one per surface."""
    uv_edges, _, _ = edges_of(quads_uv)
    count = quads_uv.max() + 1
    graph = sp.coo_matrix((np.ones(len(uv_edges)), uv_edges.T), shape=(count, count))
    island = connected_components(graph, directed=False)[1][quads_uv[:, 0]]
    names = np.full(len(quads_uv), "", dtype="<U16")
    names[tongue] = "tongue"
    rest = [i for i in np.unique(island[~tongue])]
    rest.sort(key=lambda i: -(island == i).sum())
    if len(rest) != 5:
        raise ValueError(f"expected 5 UV islands in the cropped head, found {len(rest)}")
    names[island == rest[0]] = "skin"
    for i in rest[1:]:
        centre = centres[island == i].mean(0)
        if abs(centre[0]) > 0.01:
            names[island == i] = "left_socket" if centre[0] > 0 else "right_socket"
        else:
            names[island == i] = "mouth_cavity" if centre[1] > centres[:, 1].mean() - 0.06 else "chest"
    missing = {"skin", "chest", "mouth_cavity", "left_socket", "right_socket", "tongue"} - set(names)
    if missing:
        raise ValueError(f"the cropped head lacks {sorted(missing)}")
    return names
