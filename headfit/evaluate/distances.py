"""How far the fitted surface lies from the ground truth, per part and per region of its vertices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from headfit.errors import HeadfitError
from headfit.evaluate.ground_truth import GroundTruth
from headfit.evaluate.surface import ClosestPoints, SurfaceDistance

if TYPE_CHECKING:
    from headfit.fitting.run import Run

# Words in the name of a ground-truth part, and the labels of the fitted faces that it is compared with: one
# that is hidden most of the time could otherwise score well against the lips or lids in front of it.
_COUNTERPARTS: dict[str, set[str]] = {
    "teeth": {"upper_teeth", "lower_teeth", "teeth"},
    "eyeball": {"left_eye", "right_eye"},
    "eye": {"left_eye", "right_eye"},
    "tongue": {"tongue", "gums"},
}
_NOT_COUNTERPARTS = {"socket", "lids", "lashes"}  # eye_socket is no eye


@dataclass(frozen=True)
class Region:
    """Named ground-truth vertices (ids); `labels` of the fitted faces to compare with, None for all."""

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


def part_regions(truth: GroundTruth) -> list[Region]:
    """`all`, then one region per part of the ground truth, eyes, teeth and tongue with their labels."""
    regions = [Region("all", np.unique(truth.faces))]
    for part, name in enumerate(truth.part_names):
        words = set(name.split("_"))
        labels = frozenset().union(*(_COUNTERPARTS.get(word, set()) for word in words))
        if words & _NOT_COUNTERPARTS:
            labels = frozenset()
        regions.append(Region(name, truth.part_vertices(part), labels or None))
    return regions


def surface_distances(run: Run, truth: GroundTruth, regions: list[Region]) -> dict[str, dict[str, float]]:
    """Distances from the seen ground-truth vertices to the fitted surface, pooled over frames.

    Returns per region that was seen: median_mm, p95_mm, vertices (how many were pooled), and
    sliding_median_mm, sliding_p95_mm: how far the fitted material point that lay closest to a ground-truth
    vertex in the first frame has wandered away from the point that is closest now.

    A ground-truth vertex whose closest point lies at the border of the open neck is below the cut of the
    fitted head and is left out: where a head ends is a choice, not an error.
    """
    faces = run.head.faces.cpu().numpy().astype(np.int64)
    label_names = np.array(run.head.label_names)[run.head.face_labels.cpu().numpy()]
    border = np.isin(faces, run.head.neck_loop.cpu().numpy()).any(axis=1)
    targets = {region.labels for region in regions}
    target_faces = {
        labels: np.arange(len(faces))
        if labels is None
        else np.flatnonzero(np.isin(label_names, list(labels)))
        for labels in targets
    }
    distances: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}
    slides: dict[str, list[np.ndarray]] = {region.name: [] for region in regions}
    anchors: dict[frozenset[str] | None, ClosestPoints] = {}

    for index, frame in enumerate(tqdm(run.frames, desc="distances", unit="frame")):
        gt_vertices = truth.vertices(frame)
        if gt_vertices is None:
            continue
        seen = truth.seen(gt_vertices, run.capture.cameras)
        fitted = run.vertices(index).cpu().numpy().astype(np.float64)
        for labels, ids in target_faces.items():
            members = [region for region in regions if region.labels == labels]
            if len(ids) == 0:
                continue
            wanted = np.unique(np.concatenate([region.vertices for region in members]))
            closest = SurfaceDistance(fitted, faces[ids]).closest(gt_vertices[wanted])
            anchor = anchors.setdefault(labels, closest)
            slide = np.linalg.norm(
                _points(fitted, faces[ids], anchor) - _points(fitted, faces[ids], closest), axis=-1
            )
            scored = seen[wanted]
            if labels is None:
                scored = scored & ~border[closest.face]
            for region in members:
                chosen = scored & np.isin(wanted, region.vertices)
                distances[region.name].append(closest.distance[chosen])
                if anchor is not closest:
                    slides[region.name].append(slide[chosen])
    return {
        name: _summary(parts, slides[name]) for name, parts in distances.items() if sum(map(len, parts)) > 0
    }


def _points(vertices: np.ndarray, faces: np.ndarray, closest: ClosestPoints) -> np.ndarray:
    return np.einsum("nk,nkd->nd", closest.bary, vertices[faces[closest.face]])


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
