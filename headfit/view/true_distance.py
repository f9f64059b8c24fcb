"""How far the fitted surface is from the true one, at each vertex."""

from __future__ import annotations

import numpy as np

from headfit.capture import TrueMeshes
from headfit.evaluate.distances import part_regions
from headfit.evaluate.surface import SurfaceDistance
from headfit.evaluate.visibility import seen_vertices, vertex_normals
from headfit.fitting.model import FittedHead
from headfit.head.mesh_geometry import border_vertices, on_border
from headfit.view.colours import Colours
from headfit.view.painter import Posed


def true_distance(model: FittedHead, truth: TrueMeshes, frame: int, posed: Posed) -> Colours:
    """Distance `[V]` (metres) of each vertex of the fitted head to the true surface; nan where that says nothing: its
    closest point is seen by no camera, under hair, on a border, or faces the other way.

    Teeth, eyes and tongue are compared with their own true parts, all else with the other parts, as in the scores.

    Args:
        model: the fit.
        truth: the true meshes of its capture.
        frame: index of the frame.
        posed: the head in it.
    """
    distance = np.full(len(posed.vertices), np.nan, np.float32)
    world = truth.vertices(model.capture.frames[frame])
    if world is None:
        return distance
    true = model.capture.world.to_local(world)
    seen = seen_vertices(truth, true, model.capture.cameras)
    names = np.array(model.head.label_names)[model.head.face_labels.cpu().numpy()]
    faces = model.head.faces.cpu().numpy()
    rest, own = np.ones(len(truth.faces), bool), np.zeros(len(faces), bool)
    pairs = []
    by_labels: dict[frozenset[str], list[np.ndarray]] = {}
    for region in part_regions(truth)[1:]:
        if region.labels:
            labels = region.labels - (set(truth.part_names) - {region.name})  # gums beside a tongue have their own part
            by_labels.setdefault(labels, []).append(region.vertices)
    for labels, members in by_labels.items():
        part = np.isin(truth.faces, np.concatenate(members)).all(axis=1)
        fitted = np.isin(names, sorted(labels))
        rest, own = rest & ~part, own | fitted
        pairs.append((part, fitted))
    for part, fitted in [*pairs, (rest, ~own)]:
        target, vertices = truth.faces[part & truth.face_rendered], np.unique(faces[fitted])
        if len(target) and len(vertices):
            distance[vertices] = _to_surface(posed, vertices, true, target, seen)
    return distance


def _to_surface(
    posed: Posed, vertices: np.ndarray, true: np.ndarray, faces: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Distances `[N]` of the fitted vertices `vertices [N]` to the true `faces`; nan where they say nothing."""
    closest = SurfaceDistance(true, faces).closest(posed.vertices[vertices].astype(np.float64))
    corners = faces[closest.face]
    normals = np.einsum("nk,nkd->nd", closest.bary, vertex_normals(true, faces)[corners])
    counts = seen[corners].all(axis=1)
    counts &= ~on_border(border_vertices(faces, len(true)), corners, closest.bary)
    counts &= np.einsum("nd,nd->n", normals, posed.normals[vertices]) > 0
    return np.where(counts, closest.distance, np.nan)
