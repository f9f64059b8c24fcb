"""Correspondences between two surfaces: closest points of the same kind of surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headfit.evaluate.surface import SurfaceDistance
from headfit.head import HeadModel
from headfit.head.mesh_geometry import border_vertices, on_border, vertex_normals
from headfit.types import Bool, Float, Int, Text

#: Labels that form one continuous surface; every other label is matched with itself only.
SKIN = ("skin", "hair", "lips", "upper_lip", "lower_lip", "brows", "ears", "nose", "neck")
#: Matches farther apart are ignored: metres, in the first and the last round.
MAX_DISTANCE = (0.015, 0.004)
#: Matches whose normals have a smaller cosine are ignored.
MIN_NORMAL_COSINE = 0.5
#: Distance at which the Cauchy weight of a match is one half: metres, in the first and the last round.
CAUCHY_SCALE = (0.004, 0.0007)


@dataclass(frozen=True)
class Target:
    """A mesh to register to.

    Attributes:
        vertices: `[V,3]` metres, in any frame.
        faces: `[F,3]`.
        labels: `[F]` native label names, "" for faces that are not compared.
        landmarks: `[68]` vertices in iBUG order.
    """

    vertices: Float
    faces: Int
    labels: Text
    landmarks: Int


def kinds_of(labels: Text) -> Text:
    """The kind of surface of each label: "skin" for all of `SKIN`, otherwise the label."""
    return np.where(np.isin(labels, SKIN), "skin", labels)


@dataclass(frozen=True)
class Surface:
    """The faces `[F,3]` of a mesh by kind: "skin" for all of `SKIN`, otherwise the label."""

    faces: dict[str, Int]

    @classmethod
    def of(cls, faces: Int, labels: Text) -> Surface:
        """Sort `faces [F,3]` by their `labels [F]`; "" leaves a face out."""
        kinds = kinds_of(labels)
        return cls({str(kind): faces[kinds == kind] for kind in np.unique(kinds) if kind})


@dataclass(frozen=True)
class Matches:
    """Points of the model and where they should move.

    Attributes:
        corners: `[K,3]` fine vertices of the model's triangles.
        bary: `[K,3]` barycentric weights in them.
        goal: `[K,3]` matched points of the target.
        normal: `[K,3]` unit normals of the target there.
        weight: `[K]`, summing to 1.
    """

    corners: Int
    bary: Float
    goal: Float
    normal: Float
    weight: Float


def match(
    model: Float,
    ours: Surface,
    target: Target,
    theirs: Surface,
    max_distance: float,
    cauchy_scale: float,
    points: int | None,
) -> Matches:
    """Closest points of the same kind, from vertices of the model to the target and from the target to the model.

    Args:
        model: fine vertices `[V,3]` in the target's frame, metres.
        ours: the model's faces by kind.
        target: the mesh to register to.
        theirs: its faces by kind.
        max_distance: matches farther apart (metres) get weight 0.
        cauchy_scale: distance (metres) at which the weight is one half.
        points: approximate number of vertices used on each side; None for all.
    """
    kinds = sorted(ours.faces.keys() & theirs.faces.keys())
    steps = [
        max(1, sum(len(np.unique(side.faces[kind])) for kind in kinds) // points) if points else 1
        for side in (ours, theirs)
    ]
    found: list[tuple[Int, Float, Float, Float, Float]] = []
    for kind in kinds:
        mine, other = ours.faces[kind], theirs.faces[kind]
        my_normals, other_normals = vertex_normals(model, mine), vertex_normals(target.vertices, other)
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
    weight = (distance < max_distance) / (1 + (distance / cauchy_scale) ** 2)
    return Matches(corners, bary, goal, normal, weight / max(weight.sum(), 1e-9))


def _nearest(
    points: Float, normals: Float, vertices: Float, faces: Int, surface_normals: Float
) -> tuple[Float, Int, Float, Bool]:
    """The closest points of a surface to points `[K,3]` with `normals [K,3]`.

    Returns:
        Distance `[K]`, corners `[K,3]`, bary `[K,3]`, and whether the match is good `[K]`: the normals agree and the
        closest point is not on the surface's border.
    """
    near = SurfaceDistance(vertices, faces).closest(points)
    corners = faces[near.face]
    alike = (np.einsum("kc,kcd->kd", near.bary, surface_normals[corners]) * normals).sum(1) > MIN_NORMAL_COSINE
    border = border_vertices(faces, len(vertices))
    return near.distance, corners, near.bary, alike & ~on_border(border, corners, near.bary)


def labelled_faces(head: HeadModel) -> tuple[Int, Text]:
    """The head's faces `[F,3]` and the names `[F]` of their labels."""
    return head.faces.long().numpy(), np.array(head.label_names)[head.face_labels.numpy()]


def between(ends: tuple[float, float], at: float) -> float:
    """Geometric interpolation between two numbers, `at` in [0,1]."""
    return float(ends[0] ** (1 - at) * ends[1] ** at)
