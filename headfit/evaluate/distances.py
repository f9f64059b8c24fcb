"""Distances of the fitted surface to the ground truth, per part and per region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from headfit.capture import TrueMeshes
from headfit.errors import HeadfitError
from headfit.evaluate.surface import SurfaceDistance
from headfit.evaluate.visibility import seen_vertices
from headfit.fitting.model import FittedHead

# Words in the name of a ground-truth part, and the labels of the fitted faces to which it is compared. Without them, a
# mostly hidden part could score well against the lips or lids in front of it.
_COUNTERPARTS: dict[str, set[str]] = {
    "teeth": {"upper_teeth", "lower_teeth", "teeth"},
    "eyeball": {"left_eye", "right_eye"},
    "eye": {"left_eye", "right_eye"},
    "tongue": {"tongue", "gums"},
}
_NOT_COUNTERPARTS = {"socket", "lids", "lashes"}  # eye_socket is not an eye


@dataclass(frozen=True)
class Region:
    """Named ground-truth vertices (ids), and the `labels` of the fitted faces to compare with (None: all)."""

    name: str
    vertices: np.ndarray
    labels: frozenset[str] | None = None


def parse_region(text: str, vertex_count: int) -> Region:
    """The region given by `name=start:stop` (vertex ids, stop excluded). Raises HeadfitError for anything else."""
    name, _, span = text.partition("=")
    start, _, stop = span.partition(":")
    if not (name and start.isdigit() and stop.isdigit() and int(start) < int(stop) <= vertex_count):
        raise HeadfitError(
            f"--region {text}: expected NAME=START:STOP with 0 <= START < STOP <= {vertex_count}, "
            "the number of ground-truth vertices"
        )
    return Region(name, np.arange(int(start), int(stop)))


def part_regions(truth: TrueMeshes) -> list[Region]:
    """The region `all`, then one per part of the ground truth; eyes, teeth and tongue have their labels."""
    regions = [Region("all", np.unique(truth.faces))]
    for part, name in enumerate(truth.part_names):
        words = set(name.split("_"))
        labels = frozenset().union(*(_COUNTERPARTS.get(word, set()) for word in words))
        if words & _NOT_COUNTERPARTS:
            labels = frozenset()
        regions.append(Region(name, truth.part_vertices(part), labels or None))
    return regions


class _Target:
    """The fitted faces to which some regions are compared, and the measurements so far."""

    def __init__(self, model: FittedHead, labels: frozenset[str] | None, regions: list[Region]) -> None:
        faces = model.head.faces.cpu().numpy().astype(np.int64)
        names = np.array(model.head.label_names)[model.head.face_labels.cpu().numpy()]
        self.faces = faces if labels is None else faces[np.isin(names, sorted(labels))]
        # Ground-truth vertices below the cut of the fitted neck are closest to its border; that is no error of the fit.
        self.border: np.ndarray = np.any(np.isin(self.faces, model.head.neck_loop.cpu().numpy()), axis=1)
        self.regions = regions
        self.vertices = np.unique(np.concatenate([region.vertices for region in regions]))
        # Closest surface point of each ground-truth vertex when it was first seen; face -1: not seen yet.
        self.anchor_face = np.full(self.vertices.max() + 1, -1)
        self.anchor_bary = np.zeros((self.vertices.max() + 1, 3))
        self.distances: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}
        self.slides: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}

    def measure(self, fitted: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> None:
        """Measure one frame: vertices `fitted [V,3]` and `truth [N,3]` (metres); `seen [N]` of the latter count."""
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


def surface_distances(model: FittedHead, truth: TrueMeshes, regions: list[Region]) -> dict[str, dict[str, Any]]:
    """Distances from the seen ground-truth vertices to the fitted surface, pooled over frames.

    A ground-truth vertex is ignored if its closest point is on the border of the open neck: it is below the cut of the
    fitted head, and the position of the cut is a choice, not an error.

    Args:
        model: the fitted head.
        truth: the ground truth.
        regions: the regions to measure.

    Returns:
        For each region that was seen: median_mm, p95_mm, vertices (number of pooled samples), and sliding_median_mm,
        sliding_p95_mm (tangential drift); by_frame_mm, the median of each frame that has samples. The drift of a
        ground-truth vertex is the distance between two surface points: the one closest to it when it was first seen,
        moved with the fitted surface, and the one closest now.
    """
    by_labels: dict[frozenset[str] | None, list[Region]] = {}
    for region in regions:
        by_labels.setdefault(region.labels, []).append(region)
    targets = [_Target(model, labels, members) for labels, members in by_labels.items()]
    measured_frames = []
    for index, frame in enumerate(tqdm(model.capture.frames, desc="distances", unit="frame")):
        vertices = truth.vertices(frame)
        if vertices is None:
            continue
        measured_frames.append(frame)
        vertices = model.capture.world.to_local(vertices)
        seen = seen_vertices(truth, vertices, model.capture.cameras)
        fitted = model.vertices(index).cpu().numpy().astype(np.float64)
        for target in targets:
            if len(target.faces):
                target.measure(fitted, vertices, seen)
    measured = {
        name: _summary(distances, target.slides[name], measured_frames)
        for target in targets
        for name, distances in target.distances.items()
        if sum(map(len, distances)) > 0
    }
    return {region.name: measured[region.name] for region in regions if region.name in measured}


def _summary(distances: list[np.ndarray], slides: list[np.ndarray], frames: list[str]) -> dict[str, Any]:
    """A row of `surface_distances`, of the distances and slides (metres) of each of `frames`."""
    distance = np.concatenate(distances) * 1e3
    summary: dict[str, Any] = {
        "median_mm": float(np.median(distance)),
        "p95_mm": float(np.percentile(distance, 95)),
        "vertices": len(distance),
    }
    if sum(map(len, slides)) > 0:
        slide = np.concatenate(slides) * 1e3
        summary["sliding_median_mm"] = float(np.median(slide))
        summary["sliding_p95_mm"] = float(np.percentile(slide, 95))
    by_frame = zip(frames, distances, strict=True)
    summary["by_frame_mm"] = {frame: round(float(np.median(d)) * 1e3, 4) for frame, d in by_frame if len(d)}
    return summary
