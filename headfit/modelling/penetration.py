"""Penetration depths between the parts of a head, in metres: teeth, gums, tongue, cavity, lips, lids, eyeballs.

Flesh is one surface (skin, cavity and sockets) that faces the air. A point is behind a surface if it is on the back
side of the surface's closest point; its depth is the distance to that point. If the closest point is on the border of
an open surface (the lip slit, for the cavity), the point is next to the surface rather than behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from headfit.head import HeadModel
from headfit.head.mesh_geometry import border_vertices, on_border, vertex_normals
from headfit.types import Bool, Float, Int

CANDIDATES = 12  # triangles tried per point, those with the nearest centroids
LID_WIDTH = 0.007  # metres of skin around the lid margins that count as lid
LID_MARGIN = 0.0025  # metres of it, next to the margin, that are meant to dip into the eyeball
MAX_TRUSTED_DEPTH = 3e-4  # metres: deeper points are verified by the winding number of the whole surface
#: A point outside the flesh is in the mouth if the cavity's winding number around it is at least this (negated).
MIN_MOUTH_WINDING = 0.3
#: Radius (metres) around the tongue's centre within which flesh can be touched by teeth or tongue.
MOUTH_RADIUS = 0.09
OUT = "teeth or tongue out of skin"
#: What is measured ("A in B"), in the order of the report.
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
    """The positions of N points relative to a surface.

    Attributes:
        depth: `[N]` metres behind the surface, 0 in front of it.
        gap: `[N,3]` from the surface's closest point to the point.
        normal: `[N,3]` unit normal at the closest point.
        corners: `[N,3]` vertices of the closest point's triangle.
        bary: `[N,3]` barycentric weights of the closest point.
    """

    depth: Float
    gap: Float
    normal: Float
    corners: Int
    bary: Float


@dataclass(frozen=True)
class Surface:
    """Some faces of a head: `faces [F,3]` into its vertices, and the mask `border [V]` of vertices on open edges."""

    faces: Int
    border: Bool

    @staticmethod
    def of(faces: Int, vertex_count: int) -> Surface:
        """The surface made of `faces [F,3]`."""
        return Surface(faces, border_vertices(faces, vertex_count))

    @property
    def vertices(self) -> Int:
        """Ascending indices `[N]` of its vertices."""
        return np.unique(self.faces)

    def reach(self, points: Float, v: Float) -> Reach:
        """The positions of `points [N,3]` relative to the surface of a head with vertices `v [V,3]`; metres."""
        corners = v[self.faces]
        _, near = KDTree(corners.mean(1)).query(points, k=min(CANDIDATES, len(corners)))
        near = near.reshape(len(points), -1)
        bary = closest_barycentric(points[:, None], corners[near])
        gap = points[:, None] - np.einsum("nkc,nkcd->nkd", bary, corners[near])
        rows, best = np.arange(len(points)), _dot(gap, gap).argmin(1)
        gap, bary, face = gap[rows, best], bary[rows, best], self.faces[near[rows, best]]
        normal = (bary[..., None] * vertex_normals(v, self.faces)[face]).sum(1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-30)
        behind = ((gap * normal).sum(1) < 0) & ~on_border(self.border, face, bary)
        return Reach(np.where(behind, np.linalg.norm(gap, axis=1), 0.0), gap, normal, face, bary)

    def depth(self, points: Float, v: Float, facing: Float | None = None) -> Float:
        """Depths `[N]` of points behind the surface; see `reach`.

        With unit normals `facing [N,3]` of the points, those whose normal does not oppose the surface's have depth 0.
        """
        reach = self.reach(points, v)
        if facing is not None:
            reach.depth[_dot(reach.normal, facing) > 0] = 0
        return reach.depth

    def winding(self, points: Float, v: Float) -> Float:
        """Winding numbers `[N]` of the surface around points `[N,3]`: 1 inside a closed surface, 0 outside, fractional
        if it is open (solid angles of the faces by van Oosterom and Strackee 1983)."""
        result = np.empty(len(points))
        for i, point in enumerate(points):
            a, b, c = (v[self.faces[:, k]] - point for k in range(3))
            la, lb, lc = (np.sqrt(_dot(x, x)) for x in (a, b, c))
            volume = _dot(a, np.cross(b, c))
            result[i] = np.arctan2(volume, la * lb * lc + _dot(a, b) * lc + _dot(b, c) * la + _dot(c, a) * lb).sum()
        return result / (2 * np.pi)


def _dot(a: Float, b: Float) -> Float:
    return np.einsum("...d,...d->...", a, b)


def closest_barycentric(points: Float, corners: Float) -> Float:
    """Barycentric weights `[...,3]` of the points of triangles `[...,3,3]` closest to `points [...,3]` (broadcast)."""
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    det = np.maximum(d00 * d11 - d01**2, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    best = np.stack([1 - v - w, v, w], -1)
    # Outside the triangle the closest point is on a side: compare |p - x|^2, up to a constant, on the three sides.
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


class PenetrationMeter:
    """Measures a head model that has the default head's parts (models/default/card.md).

    `rest [V,3]` are the vertices of the mean head; they tell the skin of the lids from other skin.
    """

    def __init__(self, head: HeadModel, rest: Float) -> None:
        self.all_faces = head.faces.cpu().numpy().astype(np.int64)
        self._part = np.array(head.part_names)[head.face_parts.cpu().numpy()]
        self._label = np.array(head.label_names)[head.face_labels.cpu().numpy()]
        self._count = head.vertex_count
        flesh = ("skin", "mouth_cavity", "left_socket", "right_socket")
        centre = rest[np.unique(self.all_faces[self._part == "tongue"])].mean(0)
        near = np.linalg.norm(rest[self.all_faces].mean(1) - centre, axis=1) < MOUTH_RADIUS
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
        """Indices of the vertices of the teeth that are outside the gums."""
        ids = teeth.vertices
        return ids[self._surface(gums).depth(rest[ids], rest) == 0]

    def _free_tongue(self, rest: Float) -> Int:
        """Indices of the vertices on the tongue's top and sides; its root and underside join the floor of the mouth."""
        ids = self.tongue.vertices
        z = rest[ids, 2]
        up = vertex_normals(rest, self.tongue.faces)[ids, 1]
        return ids[(up > -0.3) & (z > z.min() + 0.3 * (z.max() - z.min()))]

    def _lid(self, side: str, rest: Float) -> Int:
        """Indices of the skin's vertices around one eye, without the lid margins, which rest in the eyeball."""
        skin = np.unique(self.all_faces[self._part == "skin"])
        margin = np.intersect1d(skin, np.unique(self.all_faces[self._part == f"{side}_socket"]))
        distance, _ = KDTree(rest[margin]).query(rest[skin])
        return skin[(distance < LID_WIDTH) & (distance > LID_MARGIN)]

    def measure(self, v: Float) -> dict[str, float]:
        """The largest depth in metres for each of `PAIRS`, on vertices `v [V,3]`."""
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
            # At creases the closest point can be on the wrong side: verify deep points by the winding number.
            doubtful = np.flatnonzero(np.maximum(behind, in_flesh) > MAX_TRUSTED_DEPTH)
            inside = self.flesh.winding(v[ids[doubtful]], v) > 0.5
            in_flesh[doubtful[~inside]] = 0
            found[f"{name} in flesh"] = in_flesh.max()
            # Points outside the flesh are either in the mouth, around which the lining (facing inwards) winds once, or
            # in front of it.
            away = doubtful[(behind[doubtful] > 0) & ~inside]
            out = away[self.lining.winding(v[ids[away]], v) > -MIN_MOUTH_WINDING]
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
