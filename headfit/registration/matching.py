"""Pairs of near points of two surfaces, kind by kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headfit.evaluate.surface import SurfaceDistance
from headfit.head import HeadModel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Text = NDArray[np.str_]

#: Labels that are one continuous surface; all others are compared with their own kind only.
SKIN = ("skin", "hair", "lips", "upper_lip", "lower_lip", "brows", "ears", "nose", "neck")
#: Matches farther apart than this (metres) in the first round and at last, or with normals less alike, do not count.
REACH, ALIKE = (0.015, 0.004), 0.5
#: Distance (metres) at which a match counts half, in the first round and at last.
DOUBT = (0.004, 0.0007)


@dataclass(frozen=True)
class Target:
    """A mesh to register to: vertices `[N,3]` (metres, any frame), faces `[M,3]`, landmarks `[68]` vertex numbers in
    iBUG order, labels `[M]`: native label names, "" for faces that are not compared."""

    vertices: Float
    faces: Int
    labels: Text
    landmarks: Int


@dataclass(frozen=True)
class Surface:
    """A mesh cut by kind: faces of each kind, and where vertices of each may be compared."""

    faces: dict[str, Int]

    @classmethod
    def of(cls, faces: Int, labels: Text) -> Surface:
        kinds = np.where(np.isin(labels, SKIN), "skin", labels)
        return cls({str(kind): faces[kinds == kind] for kind in np.unique(kinds) if kind})


@dataclass(frozen=True)
class Matches:
    """Points of the model as corners `[K,3]` (fine vertices) and bary `[K,3]`; where they shall go `[K,3]`, the normal
    there `[K,3]`, and how much each counts `[K]`."""

    corners: Int
    bary: Float
    goal: Float
    normal: Float
    weight: Float


def _normals(vertices: Float, faces: Int) -> Float:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normal, faces[:, corner], across)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)


def _on_border(faces: Int, count: int, corners: Int, bary: Float) -> NDArray[np.bool_]:
    """Whether points `[K]` of a mesh lie on an edge that has one face: what is nearest to a border is beyond it."""
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, uses = np.unique(sides, axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[edges[uses == 1]] = True
    absent = bary < 1e-6
    return np.asarray(absent.any(1) & (border[corners] | absent).all(1))


def match(
    model: Float, ours: Surface, target: Target, theirs: Surface, reach: float, doubt: float, points: int | None
) -> Matches:
    """Pairs of near points of the model `[V,3]` and the target, of one kind, from either side.

    `points`: about so many vertices of each side are taken, of every kind its share; None for all.
    """
    kinds = sorted(ours.faces.keys() & theirs.faces.keys())
    steps = [
        max(1, sum(len(np.unique(side.faces[kind])) for kind in kinds) // points) if points else 1
        for side in (ours, theirs)
    ]
    found: list[tuple[Int, Float, Float, Float, Float]] = []
    for kind in kinds:
        mine, other = ours.faces[kind], theirs.faces[kind]
        my_normals, other_normals = _normals(model, mine), _normals(target.vertices, other)
        from_mine, from_other = (np.unique(f)[::step] for f, step in zip((mine, other), steps, strict=True))
        distance, corners, bary, good = _nearest(
            target.vertices[from_other], other_normals[from_other], model, mine, my_normals
        )
        goal = target.vertices[from_other]
        found.append((corners[good], bary[good], goal[good], other_normals[from_other][good], distance[good]))
        distance, corners, bary, good = _nearest(
            model[from_mine], my_normals[from_mine], target.vertices, other, other_normals
        )
        goal = np.einsum("kc,kcd->kd", bary, target.vertices[corners])
        normal = np.einsum("kc,kcd->kd", bary, other_normals[corners])
        own = np.repeat(from_mine[:, None], 3, 1)
        itself = np.tile([1.0, 0.0, 0.0], (len(own), 1))
        found.append((own[good], itself[good], goal[good], normal[good], distance[good]))
    corners, bary, goal, normal, distance = (np.concatenate(rows) for rows in zip(*found, strict=True))
    weight = (distance < reach) / (1 + (distance / doubt) ** 2)
    return Matches(corners, bary, goal, normal, weight / max(weight.sum(), 1e-9))


def _nearest(
    points: Float, normals: Float, vertices: Float, faces: Int, vertex_normals: Float
) -> tuple[Float, Int, Float, NDArray[np.bool_]]:
    """For points `[K,3]` the nearest of a surface: distance, corners and bary; and whether both sides look the same way
    there and it is not the surface's end."""
    near = SurfaceDistance(vertices, faces).closest(points)
    corners = faces[near.face]
    alike = (np.einsum("kc,kcd->kd", near.bary, vertex_normals[corners]) * normals).sum(1) > ALIKE
    return near.distance, corners, near.bary, alike & ~_on_border(faces, len(vertices), corners, near.bary)


def labelled_faces(head: HeadModel) -> tuple[Int, Text]:
    return head.faces.long().numpy(), np.array(head.label_names)[head.face_labels.numpy()]


def between(ends: tuple[float, float], at: float) -> float:
    return float(ends[0] ** (1 - at) * ends[1] ** at)
