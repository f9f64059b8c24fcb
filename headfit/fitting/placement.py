"""Points of the head in the world against points of the model: what places a head and tells its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headfit.capture.centroids import label_centroids
from headfit.capture.labels import LIP_LABELS
from headfit.capture.landmark_files import CONTOUR_COUNT, LANDMARK_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.triangulate import triangulate
from headfit.head import HeadModel
from headfit.head.similarity import robust_similarity
from headfit.sampling import evenly_spaced
from headfit.types import Bool, Float

#: Model points, world points and weights by which a head is placed.
Correspondences = tuple[Float, Float, Float]

#: The jaw line (iBUG points 0-16) is where each view's outline happens to be, not a point of the skin, so it says
#: little about where the head is.
LANDMARK_WEIGHT = np.r_[np.full(CONTOUR_COUNT, 0.1), np.ones(LANDMARK_COUNT - CONTOUR_COUNT)]
#: Fewest landmarks, besides the jaw line, that place a head.
MIN_LANDMARKS = 6
#: Regions of masks and model by whose centroids the head is placed where there are no landmarks.
PLACING_REGIONS = ("left_eye", "right_eye", "lips")
#: Weight of the whole head's centroid against that of a region.
HEAD_WEIGHT = 0.2
#: Number of frames that tell the size of a head.
SIZE_FRAMES = 12


@dataclass(frozen=True)
class Placement:
    """Where one frame shows the head.

    points: the correspondences; None where the frame shows too little. trust: for each camera with landmarks, which
    of them are trusted, bool `[68]`.
    """

    points: Correspondences | None
    trust: dict[int, Bool]


class Placer:
    """Finds correspondences between a head at rest and the frames of a capture.

    Args:
        head: the head model.
        vertices: `[V,3]` of the person at rest, in the head frame (metres).
        capture: the capture.
        cameras: indices of the cameras to use.
        use_landmarks: whether to use landmarks before masks.
    """

    def __init__(
        self,
        head: HeadModel,
        vertices: torch.Tensor,
        capture: CaptureSource,
        cameras: Sequence[int],
        use_landmarks: bool,
    ) -> None:
        self.capture = capture
        self.cameras = list(cameras)
        self.landmarks = head.landmarks(vertices).double().cpu().numpy() if use_landmarks else None
        centroids = {name: _visible_centroid(head, vertices, name) for name in (*PLACING_REGIONS, "head")}
        self.regions = {name: centroid for name, centroid in centroids.items() if centroid is not None}

    @property
    def missing_regions(self) -> list[str]:
        """The regions needed to place the head by masks that the head model has no faces for."""
        return [name for name in PLACING_REGIONS if name not in self.regions]

    def place(self, frame: int) -> Placement:
        """The correspondences of one frame: landmarks on which at least two cameras agree, else label centroids."""
        points, trust = self._by_landmarks(frame) if self.landmarks is not None else (None, {})
        return Placement(points or self._by_labels(frame), trust)

    def head_size(self) -> float | None:
        """Size of the head in the world relative to the model's, over some frames; None where nothing shows it."""
        frames = evenly_spaced(len(self.capture.frames), SIZE_FRAMES).tolist()
        found = [points for frame in frames if (points := self.place(frame).points) is not None]
        return float(np.median([robust_similarity(*points)[0] for points in found])) if found else None

    def _by_landmarks(self, frame: int) -> tuple[Correspondences | None, dict[int, Bool]]:
        seen = {c: p for c in self.cameras if (p := read_or_none(self.capture.landmarks, c, frame)) is not None}
        if len(seen) < 2:
            return None, {}
        points = np.stack(list(seen.values()))
        world, _, agrees = triangulate([self.capture.cameras[c] for c in seen], points[..., :2], points[..., 2])
        trust = {camera: agrees[row].copy() for row, camera in enumerate(seen)}
        for values in trust.values():
            values[:CONTOUR_COUNT] = True  # views need not agree on them
        good = agrees.sum(0) >= 2
        if good[CONTOUR_COUNT:].sum() < MIN_LANDMARKS:
            return None, trust
        assert self.landmarks is not None
        return (self.landmarks[good], world[good], LANDMARK_WEIGHT[good]), trust

    def _by_labels(self, frame: int) -> Correspondences | None:
        world = label_centroids(self.capture, frame, self.cameras)
        if not set(PLACING_REGIONS) <= set(world) or self.missing_regions:
            return None
        names = list(world)
        weight = np.array([HEAD_WEIGHT if name == "head" else 1.0 for name in names])
        return np.stack([self.regions[n] for n in names]), np.stack([world[n] for n in names]), weight


def _visible_centroid(head: HeadModel, vertices: torch.Tensor, region: str) -> Float | None:
    """The model's point for a mask's centroid, None where it has no such faces: for eyes the cornea's side of the ball,
    for others the vertices' mean."""
    names = {"lips": LIP_LABELS, "head": head.label_names}.get(region, (region,))
    chosen = head.vertices_of(*(name for name in names if name in head.label_names))
    if not len(chosen):
        return None
    points = vertices[chosen]
    if region.endswith("_eye"):
        points = points[points[:, 2] > points[:, 2].quantile(0.9)]
    centroid: Float = points.mean(0).double().cpu().numpy()
    return centroid
