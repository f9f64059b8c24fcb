"""Distances of the fitted surface to the ground truth, per part and per region of its vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from headfit.capture import TrueMeshes
from headfit.errors import HeadfitError
from headfit.evaluate.surface import SurfaceDistance
from headfit.evaluate.visibility import seen_vertices
from headfit.fitting.model import FittedHead

# Words in the name of a ground-truth part, and the labels of the fitted faces that it is compared with: a part
# that is mostly hidden could otherwise score well against the lips or lids in front of it.
_COUNTERPARTS: dict[str, set[str]] = {
    "teeth": {"upper_teeth", "lower_teeth", "teeth"},
    "eyeball": {"left_eye", "right_eye"},
    "eye": {"left_eye", "right_eye"},
    "tongue": {"tongue", "gums"},
}
_NOT_COUNTERPARTS = {"socket", "lids", "lashes"}  # eye_socket is not an eye


@dataclass(frozen=True)
class Region:
    """Ground-truth vertices (ids) with a name, and the `labels` of the fitted faces to compare with, None for all."""

    name: str
    vertices: np.ndarray
    labels: frozenset[str] | None = None


def parse_region(text: str, vertex_count: int) -> Region:
    """`name=start:stop` (vertex ids, stop excluded) as a Region. Raises HeadfitError on anything else."""
    name, _, span = text.partition("=")
    start, _, stop = span.partition(":")
    if not (name and start.isdigit() and stop.isdigit() and int(start) < int(stop) <= vertex_count):
        raise HeadfitError(
            f"--region {text}: expected NAME=START:STOP with 0 <= START < STOP <= {vertex_count}, "
            "the number of ground-truth vertices"
        )
    return Region(name, np.arange(int(start), int(stop)))


def part_regions(truth: TrueMeshes) -> list[Region]:
    """`all`, then one region per part of the ground truth, eyes, teeth and tongue with their labels."""
    regions = [Region("all", np.unique(truth.faces))]
    for part, name in enumerate(truth.part_names):
        words = set(name.split("_"))
        labels = frozenset().union(*(_COUNTERPARTS.get(word, set()) for word in words))
        if words & _NOT_COUNTERPARTS:
            labels = frozenset()
        regions.append(Region(name, truth.part_vertices(part), labels or None))
    return regions


class _Target:
    """The fitted faces that some regions are compared with, and what was measured on them so far."""

    def __init__(self, model: FittedHead, labels: frozenset[str] | None, regions: list[Region]) -> None:
        faces = model.head.faces.cpu().numpy().astype(np.int64)
        names = np.array(model.head.label_names)[model.head.face_labels.cpu().numpy()]
        self.faces = faces if labels is None else faces[np.isin(names, sorted(labels))]
        # A vertex below the cut of the fitted neck is closest to the neck's border, which is not an error of the fit.
        self.border: np.ndarray = np.any(np.isin(self.faces, model.head.neck_loop.cpu().numpy()), axis=1)
        self.regions = regions
        self.vertices = np.unique(np.concatenate([region.vertices for region in regions]))
        # Where each ground-truth vertex was found on the surface when it was first seen; face -1: not yet.
        self.anchor_face = np.full(self.vertices.max() + 1, -1)
        self.anchor_bary = np.zeros((self.vertices.max() + 1, 3))
        self.distances: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}
        self.slides: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}

    def measure(self, fitted: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> None:
        """One frame: fitted [V,3], ground truth [N,3] (metres), and which of the latter are seen [N]."""
        ids = self.vertices[seen[self.vertices]]
        closest = SurfaceDistance(fitted, self.faces).closest(truth[ids])
        inside = ~self.border[closest.face]
        ids, distance, face, bary = (values[inside] for values in (ids, closest.distance, closest.face, closest.bary))
        known = self.anchor_face[ids] >= 0
        self.anchor_face[ids[~known]] = face[~known]
        self.anchor_bary[ids[~known]] = bary[~known]
        anchor = self._points(fitted, self.anchor_face[ids], self.anchor_bary[ids])
        slide = np.linalg.norm(anchor - self._points(fitted, face, bary), axis=-1)
        for region in self.regions:
            chosen = np.isin(ids, region.vertices)
            self.distances[region.name].append(distance[chosen])
            self.slides[region.name].append(slide[chosen & known])

    def _points(self, vertices: np.ndarray, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkd->nd", bary, vertices[self.faces[face]])


def surface_distances(model: FittedHead, truth: TrueMeshes, regions: list[Region]) -> dict[str, dict[str, float]]:
    """Distances from the seen ground-truth vertices to the fitted surface, pooled over frames.

    Returns, for each region that was seen: median_mm, p95_mm, vertices (how many were pooled), and
    sliding_median_mm, sliding_p95_mm (tangential drift): the distance between the surface point that was closest to a
    ground-truth vertex when that was first seen, carried along by the fit, and the point that is closest now.

    A ground-truth vertex whose closest point is on the border of the open neck is below the cut of the
    fitted head and is left out: where a head ends is a choice, not an error.
    """
    by_labels: dict[frozenset[str] | None, list[Region]] = {}
    for region in regions:
        by_labels.setdefault(region.labels, []).append(region)
    targets = [_Target(model, labels, members) for labels, members in by_labels.items()]
    for index, frame in enumerate(tqdm(model.capture.frames, desc="distances", unit="frame")):
        vertices = truth.vertices(frame)
        if vertices is None:
            continue
        vertices = model.capture.world.to_local(vertices)
        seen = seen_vertices(truth, vertices, model.capture.cameras)
        fitted = model.vertices(index).cpu().numpy().astype(np.float64)
        for target in targets:
            if len(target.faces):
                target.measure(fitted, vertices, seen)
    measured = {
        name: _summary(distances, target.slides[name])
        for target in targets
        for name, distances in target.distances.items()
        if sum(map(len, distances)) > 0
    }
    return {region.name: measured[region.name] for region in regions if region.name in measured}


def _summary(distances: list[np.ndarray], slides: list[np.ndarray]) -> dict[str, float]:
    distance = np.concatenate(distances) * 1e3
    summary = {
        "median_mm": float(np.median(distance)),
        "p95_mm": float(np.percentile(distance, 95)),
        "vertices": len(distance),
    }
    if sum(map(len, slides)) > 0:
        slide = np.concatenate(slides) * 1e3
        summary["sliding_median_mm"] = float(np.median(slide))
        summary["sliding_p95_mm"] = float(np.percentile(slide, 95))
    return summary
