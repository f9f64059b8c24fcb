"""What the pictures of several cameras show of the same points: the evidence by which cameras are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.centroids import REGIONS, region_centroid
from headfit.capture.face_shape import FACE_LANDMARKS, FACE_REGIONS, FaceFit, fit_face
from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.triangulate import triangulate
from headfit.types import Float, Int

#: Tolerances of the triangulation, as shares of the picture's diagonal. A small one ignores views that are wrong; a
#: large one says how far off views are of which none agrees.
TOLERANCES = (0.01, 0.06, 0.5)
#: Of the views of a point, the share that must agree: one of four may be wrong.
AGREEING_SHARE = 0.75
#: Fewest points seen by three cameras that make those seen by only two unnecessary.
MIN_CONFIRMED = 6
#: Longest side, pixels, at which features are found; fewest matches that are compared, most of one pair of
#: pictures, most pairs, and ratio of the distances of the best and the second best match (Lowe, 2004).
FEATURE_SIDE, MIN_MATCHES, MAX_MATCHES, MAX_FEATURE_PAIRS, LOWE_RATIO = 640, 24, 16, 8, 0.75


@dataclass(frozen=True, eq=False)
class Observations:
    """N points as V cameras see them.

    kind: "landmarks", "mask regions" or "matched features".
    cameras: indices `[V]` of the cameras.
    pixels, weights: `[V,N,2]` and `[V,N]`; weight 0 where a camera does not see a point.
    frame, point: `[N]`: index of the frame; iBUG number, number of the region, or -1.
    size: size of the head in the pictures, pixels: the median over views.
    """

    kind: str
    cameras: list[int]
    pixels: Float
    weights: Float
    frame: Int
    point: Int
    size: float

    def of(self, cameras: Sequence[Camera]) -> list[Camera]:
        """The V cameras among all of the capture."""
        return [cameras[index] for index in self.cameras]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well the views agree under some reading of the cameras.

    residual: pixels within which the views agree (median over points); infinite where no point lies in front of the
        cameras that see it.
    points: `[N,3]`, metres. residuals: `[V,N]`, pixels; nan where a camera does not see the point.
    face: the points as a face: the median over frames; None where they are too few.
    """

    residual: float
    points: Float
    residuals: Float
    face: FaceFit | None


def agreement(cameras: Sequence[Camera], seen: Observations) -> Agreement:
    """Triangulate the observations with `cameras` (all of the capture)."""
    views = seen.of(cameras)
    diagonal = max(np.hypot(*camera.size) for camera in views)
    best = np.full(len(seen.point), np.inf)
    points = np.full((len(seen.point), 3), np.nan)
    residuals = np.full(seen.weights.shape, np.inf)
    for share in TOLERANCES:
        with np.errstate(all="ignore"):
            found = triangulate(views, seen.pixels, seen.weights, share * diagonal)
        ranked = _ranked(found.residuals)
        better = ranked < best
        best[better], points[better] = ranked[better], found.points[better]
        residuals[:, better] = found.residuals[:, better]
    residuals[seen.weights <= 0] = np.nan
    count = (seen.weights > 0).sum(axis=0)
    chosen = count >= (3 if (count >= 3).sum() >= MIN_CONFIRMED else 2)
    residual = float(np.median(best[chosen])) if chosen.any() else np.inf
    return Agreement(residual, points, residuals, _median_face(seen, points))


def _ranked(residuals: Float) -> Float:
    """Per point `[N]` the residual within which AGREEING_SHARE of its views agree; infinite for fewer than two."""
    count = np.isfinite(np.where(np.isnan(residuals), np.inf, 0.0)).sum(axis=0)
    ordered = np.sort(np.where(np.isnan(residuals), np.inf, residuals), axis=0)  # unseen ones come last
    rank = np.maximum(np.ceil(AGREEING_SHARE * count).astype(int), 2) - 1
    ranked = ordered[np.minimum(rank, len(residuals) - 1), np.arange(residuals.shape[1])]
    return np.where(count >= 2, ranked, np.inf)


def _median_face(seen: Observations, points: Float) -> FaceFit | None:
    table = {"landmarks": FACE_LANDMARKS, "mask regions": FACE_REGIONS}.get(seen.kind)
    if table is None:
        return None
    fits = [fit_face(points[seen.frame == f], seen.point[seen.frame == f], table) for f in np.unique(seen.frame)]
    known = [fit for fit in fits if fit is not None]
    if not known:
        return None
    misfit, mirrored, distance = (np.median([fit[i] for fit in known]) for i in range(3))
    return FaceFit(float(misfit), bool(mirrored > 0.5), float(distance))


def observe_landmarks(capture: CaptureSource, frames: Sequence[int]) -> Observations | None:
    """Landmarks of the frames that are fixed points of the skin; None where fewer than two cameras have some."""
    read = [[read_or_none(capture.landmarks, c, f) for f in frames] for c in range(len(capture.cameras))]
    cameras = [
        c for c, rows in enumerate(read) if any(r is not None and (r[CONTOUR_COUNT:, 2] > 0).any() for r in rows)
    ]
    if len(cameras) < 2:
        return None
    names = np.array(list(FACE_LANDMARKS))
    nothing = np.zeros((len(names), 3))
    rows = [np.concatenate([nothing if r is None else r[names] for r in read[c]]) for c in cameras]
    stacked = np.stack(rows)
    sizes = [
        np.linalg.norm(np.ptp(r[r[:, 2] > 0, :2], axis=0))
        for c in cameras
        for r in read[c]
        if r is not None and (r[:, 2] > 0).sum() >= 2
    ]
    return Observations(
        "landmarks",
        cameras,
        stacked[..., :2],
        stacked[..., 2],
        np.repeat(np.array(list(frames)), len(names)),
        np.tile(names, len(frames)),
        float(np.median(sizes)) if sizes else 0.0,
    )


def observe_regions(capture: CaptureSource, frames: Sequence[int], cameras: Sequence[int]) -> Observations | None:
    """Centroids of eyes, lips and head in the masks of some cameras; None where fewer than two of them show any."""
    pixels = np.zeros((len(cameras), len(frames), len(REGIONS), 2))
    weights = np.zeros(pixels.shape[:3])
    sizes = []
    members = []
    for labels in REGIONS.values():
        member = np.zeros(256, dtype=np.uint8)
        member[[value for value, name in capture.label_names.items() if name in labels]] = 1
        members.append(member)
    for v, camera in enumerate(cameras):
        for f, frame in enumerate(frames):
            mask = read_or_none(capture.mask, camera, frame)
            if mask is None:
                continue
            head = members[-1][mask]
            columns, rows = np.flatnonzero(head.any(axis=0)), np.flatnonzero(head.any(axis=1))
            if not columns.size:
                continue
            sizes.append(float(np.ptp(columns)) + 1)
            # A head that touches a side or the top of the picture may be cut off there: its centroid says nothing.
            cut = columns[0] == 0 or columns[-1] == head.shape[1] - 1 or rows[0] == 0
            for r, member in enumerate(members[:-1] if cut else members):
                pixels[v, f, r], area = region_centroid(member[mask])
                weights[v, f, r] = float(area > 0)
    used = [v for v in range(len(cameras)) if weights[v].any()]
    if len(used) < 2:
        return None
    count = len(frames) * len(REGIONS)
    return Observations(
        "mask regions",
        [cameras[v] for v in used],
        pixels[used].reshape(len(used), count, 2),
        weights[used].reshape(len(used), count),
        np.repeat(np.array(list(frames)), len(REGIONS)),
        np.tile(np.arange(len(REGIONS)), len(frames)),
        float(np.median(sizes)),
    )


def observe_features(capture: CaptureSource, frame: int) -> Observations | None:
    """SIFT features of one frame matched between cameras that follow each other; None where they are too few.

    Only matches that some fundamental matrix explains are kept, so that a wrong match does not speak about the cameras.
    """
    cameras = [c for c in range(len(capture.cameras)) if capture.has_image(c, frame)]
    found = {}
    for camera in cameras[: MAX_FEATURE_PAIRS + 1]:
        picture = read_or_none(capture.image, camera, frame)
        if picture is not None:
            found[camera] = _features(picture)
    order = list(found)
    index = {camera: v for v, camera in enumerate(order)}
    columns = []
    for first, second in pairwise(order):
        for a, b in _matches(found[first], found[second]):
            pixels, weights = np.zeros((len(order), 2)), np.zeros(len(order))
            pixels[index[first]], pixels[index[second]] = a, b
            weights[[index[first], index[second]]] = 1.0
            columns.append((pixels, weights))
    if len(columns) < MIN_MATCHES:
        return None
    diagonal = float(np.median([np.hypot(*capture.cameras[c].size) for c in order]))
    return Observations(
        "matched features",
        order,
        np.stack([pixels for pixels, _ in columns], axis=1),
        np.stack([weights for _, weights in columns], axis=1),
        np.full(len(columns), frame),
        np.full(len(columns), -1),
        diagonal / 3,
    )


def _features(picture: np.ndarray) -> tuple[Float, np.ndarray | None]:
    """Positions `[N,2]` (pixels from the corner) and descriptors of SIFT features."""
    scale = min(1.0, FEATURE_SIDE / max(picture.shape[:2]))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points, descriptors = cv2.SIFT_create(800, contrastThreshold=0.02).detectAndCompute(grey, None)  # type: ignore[attr-defined]
    return (np.array([p.pt for p in points], dtype=np.float64).reshape(-1, 2) + 0.5) / scale, descriptors


def _matches(
    first: tuple[Float, np.ndarray | None], second: tuple[Float, np.ndarray | None]
) -> list[tuple[Float, Float]]:
    (a, from_a), (b, from_b) = first, second
    if from_a is None or from_b is None or min(len(a), len(b)) < MIN_MATCHES:
        return []
    pairs = cv2.BFMatcher().knnMatch(from_a, from_b, k=2)
    good = [m for m, n in pairs if m.distance < LOWE_RATIO * n.distance]
    if len(good) < MIN_MATCHES // 2:
        return []
    left, right = a[[m.queryIdx for m in good]], b[[m.trainIdx for m in good]]
    _, inliers = cv2.findFundamentalMat(left, right, cv2.FM_RANSAC, 1.5, 0.999)
    if inliers is None or inliers.sum() < max(MIN_MATCHES // 2, 0.5 * len(good)):
        return []
    keep = np.flatnonzero(inliers.ravel())
    keep = keep[np.unique(np.linspace(0, len(keep) - 1, MAX_MATCHES).astype(int))]
    return list(zip(left[keep], right[keep], strict=True))
