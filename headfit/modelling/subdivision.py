"""One level of Catmull-Clark subdivision as a constant sparse matrix.

Smooth regions follow Catmull & Clark (1978). Edges on a border or marked sharp form loops that are *interpolated*:
their vertices stay in place and new points are inserted by the four-point rule of Dyn, Levin & Gregory (1987), so that
closed lips and lids stay closed instead of shrinking apart.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from headfit.types import Bool, Int


@dataclass(frozen=True)
class Subdivided:
    """A subdivided mesh of quads.

    Attributes:
        matrix: `[V+E+Q,V]` from old to new vertices, rows sum to 1. New vertices are the V old ones, then one per edge,
            then one per quad.
        quads: `[4Q,4]`; quads 4q to 4q+3 are the children of quad q.
        edges: `[E,2]` old vertices of the edges.
    """

    matrix: sp.csr_matrix
    quads: Int
    edges: Int


def edges_of(faces: Int) -> tuple[Int, Int, Int]:
    """Unique undirected edges of polygons `[N,k]`: sorted vertex pairs `[E,2]`, the edge of each side `[N,k]`, and the
    number of sides on each edge `[E]`."""
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)
    edges, index, count = np.unique(
        np.sort(sides.reshape(-1, 2), axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return edges, index.reshape(faces.shape), count


def catmull_clark(quads: Int, vertex_count: int, sharp_edges: Int | None = None) -> Subdivided:
    """The mesh subdivided once.

    Args:
        quads: `[Q,4]` vertex indices, manifold and consistently wound.
        vertex_count: number V of vertices.
        sharp_edges: `[S,2]` vertex pairs to interpolate as loops, in addition to the mesh border.

    Raises:
        ValueError: an edge belongs to more than two quads, or a sharp pair is not an edge.
    """
    edges, side_edge, count = edges_of(quads)
    if count.max(initial=0) > 2:
        raise ValueError("catmull_clark: an edge belongs to more than two quads")
    n_v, n_e, n_q = vertex_count, len(edges), len(quads)
    sharp = count == 1
    if sharp_edges is not None and len(sharp_edges):
        sharp |= _is_member(edges, np.sort(sharp_edges, axis=1))

    face_points = _average(np.repeat(np.arange(n_q), 4), quads.ravel(), n_q, n_v)
    midpoints = _average(np.repeat(np.arange(n_e), 2), edges.ravel(), n_e, n_v)
    edge_faces = _average(side_edge.ravel(), np.repeat(np.arange(n_q), 4), n_e, n_q) @ face_points
    smooth_edge = 0.5 * midpoints + 0.5 * edge_faces
    edge_points = _select(~sharp) @ smooth_edge + _four_point(edges, sharp, n_v)

    # v' = (F + 2 R + (n - 3) v) / n, where F and R are the means of the adjacent face points and edge midpoints.
    valence = np.bincount(edges.ravel(), minlength=n_v).clip(min=1)
    mean_faces = _average(quads.ravel(), np.repeat(np.arange(n_q), 4), n_v, n_q) @ face_points
    mean_edges = _average(edges.ravel(), np.repeat(np.arange(n_e), 2), n_v, n_e) @ midpoints
    smooth_vertex = sp.diags(1 / valence) @ (mean_faces + 2 * mean_edges + sp.diags(valence - 3.0))
    held = np.ones(n_v, bool)
    held[np.unique(quads)] = False
    held[np.unique(edges[sharp])] = True
    vertex_points = _select(~held) @ smooth_vertex + _select(held)

    matrix = sp.vstack([vertex_points, edge_points, face_points]).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    at_edge, at_face = n_v + side_edge, n_v + n_e + np.arange(n_q)
    children = [np.stack([quads[:, i], at_edge[:, i], at_face, at_edge[:, i - 1]], 1) for i in range(4)]
    return Subdivided(matrix, np.stack(children, 1).reshape(-1, 4), edges)


def _average(rows: Int, columns: Int, n_rows: int, n_columns: int) -> sp.csr_matrix:
    """Matrix `[n_rows,n_columns]` whose row r averages the columns paired with r; 0 for rows that are not listed."""
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_rows, n_columns))
    total = np.asarray(matrix.sum(axis=1)).ravel().clip(min=1)
    return sp.diags(1 / total) @ matrix


def _select(mask: Bool) -> sp.dia_matrix:
    return sp.diags(mask.astype(float))


def _is_member(edges: Int, wanted: Int) -> Bool:
    """Mask `[E]` of the edges among the vertex pairs `wanted [S,2]`, all sorted."""
    rank = {(int(a), int(b)): i for i, (a, b) in enumerate(edges)}
    mask = np.zeros(len(edges), bool)
    for a, b in wanted:
        if (int(a), int(b)) not in rank:
            raise ValueError(f"catmull_clark: sharp pair ({a}, {b}) is not an edge of the mesh")
        mask[rank[int(a), int(b)]] = True
    return mask


def _four_point(edges: Int, sharp: Bool, vertex_count: int) -> sp.csr_matrix:
    """Matrix `[E,V]` of the new points of sharp edges: 9/16 (b + c) - 1/16 (a + d) along a-b-c-d, or the midpoint at
    the end of an open loop; 0 for other edges."""
    neighbours: dict[int, list[int]] = {}
    for b, c in edges[sharp]:
        neighbours.setdefault(int(b), []).append(int(c))
        neighbours.setdefault(int(c), []).append(int(b))
    rows, columns, values = [], [], []
    for e in np.flatnonzero(sharp):
        b, c = (int(v) for v in edges[e])
        before = [v for v in neighbours[b] if v != c]
        after = [v for v in neighbours[c] if v != b]
        if len(before) == 1 and len(after) == 1:
            stencil = [(b, 9 / 16), (c, 9 / 16), (before[0], -1 / 16), (after[0], -1 / 16)]
        else:
            stencil = [(b, 0.5), (c, 0.5)]
        for column, value in stencil:
            rows.append(e)
            columns.append(column)
            values.append(value)
    return sp.csr_matrix((values, (rows, columns)), shape=(len(edges), vertex_count))
