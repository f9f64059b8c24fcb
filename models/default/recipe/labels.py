"""Label fields on the fine soft mesh: smooth scalar functions whose level sets are the borders between labels."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from headfit.modelling.subdivision import edges_of

LABEL_NAMES = (
    "skin",
    "hair",
    "upper_lip",
    "lower_lip",
    "upper_teeth",
    "lower_teeth",
    "gums",
    "tongue",
    "mouth_cavity",
    "left_eye",
    "right_eye",
    "brows",
    "ears",
    "neck",
    "nose",
)


def sample_mask(mask: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear samples `[...]` of a UV mask `[H,W]` (row 0 at v = 1) at `uv [...,2]`."""
    h, w = mask.shape
    x = (uv[..., 0] * w - 0.5).clip(0, w - 1.001)
    y = ((1 - uv[..., 1]) * h - 0.5).clip(0, h - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    fx, fy = x - x0, y - y0
    top = mask[y0, x0] * (1 - fx) + mask[y0, x0 + 1] * fx
    bottom = mask[y0 + 1, x0] * (1 - fx) + mask[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def walking_distance(vertices: np.ndarray, faces: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length `[V]` of the shortest edge path from each vertex to a seed, and that seed `[V]` (negative: no path)."""
    edges, _, _ = edges_of(faces)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    n = len(vertices)
    graph = sp.coo_matrix((np.maximum(length, 1e-9), edges.T), shape=(n, n))
    distance, _, source = dijkstra(graph, directed=False, indices=seeds, min_only=True, return_predecessors=True)
    return distance, source


def ordered_loop(edges: np.ndarray) -> np.ndarray:
    """The vertices `[E]` of one closed loop of `edges [E,2]`, in order. Raises ValueError for anything else."""
    after: dict[int, list[int]] = {}
    for a, b in edges:
        after.setdefault(int(a), []).append(int(b))
        after.setdefault(int(b), []).append(int(a))
    if any(len(v) != 2 for v in after.values()):
        raise ValueError("the edges do not form a simple closed loop")
    loop = [int(edges[0, 0])]
    previous, current = -1, loop[0]
    while True:
        a, b = after[current]
        previous, current = current, (a if a != previous else b)
        if current == loop[0]:
            break
        loop.append(current)
    if len(loop) != len(edges):
        raise ValueError("the edges form more than one loop")
    return np.array(loop)


def upper_half(vertices: np.ndarray, slit: np.ndarray) -> np.ndarray:
    """The upper side of the lip slit (an ordered loop), from one corner to the other, both included."""
    left, right = vertices[slit, 0].argmax(), vertices[slit, 0].argmin()
    rolled = np.roll(slit, -left)
    cut = (right - left) % len(slit)
    one, other = rolled[: cut + 1], np.append(rolled[cut:], rolled[0])
    return one if vertices[one, 1].mean() > vertices[other, 1].mean() else other


def polyline_distance(points: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance `[N]` of `points [N,3]` to a polyline `[M,3]`, and position `[N]` in [0, 1] of the closest point."""
    a, b = line[:-1], line[1:]
    d = b - a
    t = (((points[:, None] - a) * d).sum(-1) / (d**2).sum(-1)).clip(0, 1)
    distance = np.linalg.norm(points[:, None] - (a + t[..., None] * d), axis=-1)
    k = distance.argmin(1)
    rows = np.arange(len(points))
    return distance[rows, k], (k + t[rows, k]) / len(a)
