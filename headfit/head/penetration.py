"""How deep the parts of a head reach into one another, in metres: teeth, gums, tongue, cavity, lips, lids, eyeballs.

Flesh is one surface (skin, cavity and sockets) that faces the air. A point is behind a surface when it lies on the
far side of the nearest place of it; its depth is the distance to that place. Where the nearest place is on the border
of an open surface (the lip slit, for the cavity) the point is beside the surface, not behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from headfit.head.model import HeadModel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

CANDIDATES = 12  # triangles tried per point, nearest centres first
LID_REACH = 0.007  # metres of skin around the lid margins that counts as lid
LID_MARGIN = 0.0025  # ... of which the innermost is meant to dip into the eyeball
SURE = 3e-4  # metres: deeper points are asked again of the whole surface
IN_THE_MOUTH = 0.3  # of one turn round a point: how much of the lining must be seen from it
OUT = "teeth or tongue out of skin"
#: Pairs in the order in which they are reported: (what reaches, into what).
PAIRS = (
    "upper_teeth in flesh",
    "lower_teeth in flesh",
    "tongue in flesh",
    "tongue in upper jaw",
    "tongue in lower jaw",
    "upper jaw in lower jaw",
    "upper_lip in lower_lip",
    "lids in eyeballs",
    OUT,
)


@dataclass(frozen=True)
class Reach:
    """Of N points: `depth` [N] metres behind a surface, 0 in front of it; `gap` [N,3] from its nearest place to the
    point; `normal` [N,3] there, unit; `corners` [N,3] and `bary` [N,3], that place."""

    depth: Float
    gap: Float
    normal: Float
    corners: Int
    bary: Float


@dataclass(frozen=True)
class Surface:
    """Some faces of a head: `faces` [F,3] into its vertices, `border` [V] true on their open edges."""

    faces: Int
    border: Bool

    @staticmethod
    def of(faces: Int, vertex_count: int) -> Surface:
        sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        unique, count = np.unique(sides, axis=0, return_counts=True)
        border = np.zeros(vertex_count, bool)
        border[unique[count == 1]] = True
        return Surface(faces, border)

    @property
    def vertices(self) -> Int:
        """Ids of its vertices."""
        return np.unique(self.faces)

    def reach(self, points: Float, v: Float) -> Reach:
        """How far points [N,3] are behind the surface of a head with vertices `v` [V,3], and its nearest places."""
        corners = v[self.faces]
        _, near = KDTree(corners.mean(1)).query(points, k=min(CANDIDATES, len(corners)))
        near = near.reshape(len(points), -1)
        bary = closest_barycentric(points[:, None], corners[near])
        gap = points[:, None] - np.einsum("nkc,nkcd->nkd", bary, corners[near])
        rows, best = np.arange(len(points)), _dot(gap, gap).argmin(1)
        gap, bary, face = gap[rows, best], bary[rows, best], self.faces[near[rows, best]]
        normal = (bary[..., None] * vertex_normals(v, self.faces)[face]).sum(1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-30)
        on_side = bary < 1e-6
        beside = on_side.any(1) & (self.border[face] | on_side).all(1)
        behind = ((gap * normal).sum(1) < 0) & ~beside
        return Reach(np.where(behind, np.linalg.norm(gap, axis=1), 0.0), gap, normal, face, bary)

    def depth(self, points: Float, v: Float, facing: Float | None = None) -> Float:
        """`reach(...).depth`; with unit normals `facing` [N,3] at the points, only of those that face the surface."""
        reach = self.reach(points, v)
        if facing is not None:
            reach.depth[_dot(reach.normal, facing) > 0] = 0
        return reach.depth

    def winding(self, points: Float, v: Float) -> Float:
        """How often the surface goes round points [N,3]: 1 inside of a closed one, 0 outside, in between where it is
        open (van Oosterom and Strackee 1983, summed over the faces)."""
        result = np.empty(len(points))
        for i, point in enumerate(points):
            a, b, c = (v[self.faces[:, k]] - point for k in range(3))
            la, lb, lc = (np.sqrt(_dot(x, x)) for x in (a, b, c))
            spat = _dot(a, np.cross(b, c))
            result[i] = np.arctan2(spat, la * lb * lc + _dot(a, b) * lc + _dot(b, c) * la + _dot(c, a) * lb).sum()
        return result / (2 * np.pi)


def _dot(a: Float, b: Float) -> Float:
    return np.einsum("...d,...d->...", a, b)


def closest_barycentric(points: Float, corners: Float) -> Float:
    """Barycentric coordinates [...,3] of the place of each triangle [...,3,3] nearest to points [...,3] (broadcast)."""
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    det = np.maximum(d00 * d11 - d01**2, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    best = np.stack([1 - v - w, v, w], -1)
    # Outside of the triangle the nearest place is on a side: |p - x|^2 up to a constant, in barycentric terms.
    along_ab = (d20 / np.maximum(d00, 1e-30)).clip(0, 1)
    along_ac = (d21 / np.maximum(d11, 1e-30)).clip(0, 1)
    d_bc = d00 - 2 * d01 + d11
    along_bc = ((d21 - d20 + d00 - d01) / np.maximum(d_bc, 1e-30)).clip(0, 1)
    zero = np.zeros_like(v)
    sides = np.stack(
        [
            np.stack([1 - along_ab, along_ab, zero], -1),
            np.stack([1 - along_ac, zero, along_ac], -1),
            np.stack([zero, 1 - along_bc, along_bc], -1),
        ]
    )
    s, t = sides[..., 1], sides[..., 2]
    squared = s * s * d00 + t * t * d11 + 2 * s * t * d01 - 2 * (s * d20 + t * d21)
    on_side = np.take_along_axis(sides, squared.argmin(0)[None, ..., None], 0)[0]
    return np.where((best < 0).any(-1, keepdims=True), on_side, best)


def vertex_normals(v: Float, faces: Int) -> Float:
    """Area-weighted unit normals [V,3] of the vertices that `faces` use, 0 for others."""
    corners = v[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(v)
    for i in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, i], normal[:, axis], minlength=len(v))
    return total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-30)


class PenetrationMeter:
    """Measures a head model that has the default head's parts (see models/default/card.md).

    `rest` [V,3]: vertices of the mean, by which the skin of the lids is told from other skin.
    """

    def __init__(self, head: HeadModel, rest: Float) -> None:
        self.all_faces = head.faces.cpu().numpy().astype(np.int64)
        self._part = np.array(head.part_names)[head.face_parts.cpu().numpy()]
        self._label = np.array(head.label_names)[head.face_labels.cpu().numpy()]
        self._count = head.vertex_count
        flesh = ("skin", "mouth_cavity", "left_socket", "right_socket")
        centre = rest[np.unique(self.all_faces[self._part == "tongue"])].mean(0)
        near = np.linalg.norm(rest[self.all_faces].mean(1) - centre, axis=1) < 0.09
        self.lining = self._surface(self._part == "mouth_cavity")
        self.flesh = self._surface(np.isin(self._part, flesh))
        self.skin = self._surface(np.isin(self._part, flesh) & near)
        self.tongue = self._surface(self._part == "tongue")
        self.tongue_top = self._free_tongue(rest)
        self.lips = {n: self._surface(self._label == n) for n in ("upper_lip", "lower_lip")}
        self.teeth = {jaw: self._surface(self._part == f"{jaw}_teeth") for jaw in ("upper", "lower")}
        self.jaws = {
            jaw: self._surface(np.isin(self._part, (f"{jaw}_teeth", f"{jaw}_gums"))) for jaw in ("upper", "lower")
        }
        crowns = {jaw: self._outside(self.teeth[jaw], self._part == f"{jaw}_gums", rest) for jaw in self.teeth}
        self.crowns = crowns
        self.eyes = {side: self._surface(self._part == f"{side}_eye") for side in ("left", "right")}
        self.lids = {side: self._lid(side, rest) for side in self.eyes}

    def _surface(self, chosen: Bool) -> Surface:
        return Surface.of(self.all_faces[chosen], self._count)

    def _outside(self, teeth: Surface, gums: Bool, rest: Float) -> Int:
        """Vertices of the teeth that the gums do not hold."""
        ids = teeth.vertices
        return ids[self._surface(gums).depth(rest[ids], rest) == 0]

    def _free_tongue(self, rest: Float) -> Int:
        """Vertices of the tongue's top and sides; its root and underside are grown to the floor of the mouth."""
        ids = self.tongue.vertices
        z = rest[ids, 2]
        up = vertex_normals(rest, self.tongue.faces)[ids, 1]
        return ids[(up > -0.3) & (z > z.min() + 0.3 * (z.max() - z.min()))]

    def _lid(self, side: str, rest: Float) -> Int:
        """Vertices of the skin around one eye but for the margins, which rest in the eyeball."""
        skin = np.unique(self.all_faces[self._part == "skin"])
        margin = np.intersect1d(skin, np.unique(self.all_faces[self._part == f"{side}_socket"]))
        distance, _ = KDTree(rest[margin]).query(rest[skin])
        return skin[(distance < LID_REACH) & (distance > LID_MARGIN)]

    def measure(self, v: Float) -> dict[str, float]:
        """Deepest reach in metres for every one of PAIRS, on vertices `v` [V,3]."""
        found = dict.fromkeys(PAIRS, 0.0)
        tongue = self.tongue_top
        inner = [("tongue", tongue)]
        for jaw, crown in self.crowns.items():
            inner.append((f"{jaw}_teeth", crown))
            found[f"tongue in {jaw} jaw"] = max(
                self.jaws[jaw].depth(v[tongue], v).max(), self.tongue.depth(v[crown], v).max()
            )
        for name, ids in inner:
            behind, in_flesh = self.lining.depth(v[ids], v), self.skin.depth(v[ids], v)
            # At creases the nearest place misleads: what seems deep is asked again, of the whole surface.
            doubtful = np.flatnonzero(np.maximum(behind, in_flesh) > SURE)
            inside = self.flesh.winding(v[ids[doubtful]], v) > 0.5
            in_flesh[doubtful[~inside]] = 0
            found[f"{name} in flesh"] = in_flesh.max()
            # Not in flesh: still in the mouth, which the lining (facing inwards) goes round once, or out before it.
            away = doubtful[(behind[doubtful] > 0) & ~inside]
            out = away[self.lining.winding(v[ids[away]], v) > -IN_THE_MOUTH]
            found[OUT] = max(found[OUT], behind[out].max(initial=0))
        found["upper jaw in lower jaw"] = max(
            self.jaws["lower"].depth(v[self.crowns["upper"]], v).max(),
            self.jaws["upper"].depth(v[self.crowns["lower"]], v).max(),
        )
        normals = vertex_normals(v, self.all_faces)
        lower, upper = self.lips["lower_lip"], self.lips["upper_lip"]
        found["upper_lip in lower_lip"] = max(
            one.depth(v[other.vertices], v, normals[other.vertices]).max()
            for one, other in ((lower, upper), (upper, lower))
        )
        for side, eye in self.eyes.items():
            found["lids in eyeballs"] = max(found["lids in eyeballs"], eye.depth(v[self.lids[side]], v).max())
        return {name: float(value) for name, value in found.items()}
