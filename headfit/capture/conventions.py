"""The usual mix-ups in calibrations, as readings of the given numbers, and which of them the views support."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.observations import Agreement, Observations, agreement
from headfit.types import Float

#: From OpenGL's camera axes (y up, z backward) to OpenCV's.
FLIP = np.diag([1.0, -1.0, -1.0])
#: A reading fits where it leaves less than this share of the given residual, and improves it by this many pixels.
FITTING_SHARE, MIN_IMPROVEMENT = 0.35, 0.1
#: Range, as a share of the image size, of a plausible principal point.
PRINCIPAL_RANGE = (0.3, 0.7)
#: Handicaps, as shares of the head's size, of readings by which the face is mirrored or of impossible size, or the
#: principal point far from the middle: they decide between readings that agree equally well.
MIRRORED_HANDICAP, SIZE_HANDICAP, PRINCIPAL_HANDICAP = 0.3, 0.05, 0.02
#: Units by which positions may be off: cm or mm called m, and the reverse.
UNIT_FACTORS = (0.01, 0.001, 0.1, 100.0, 1000.0, 10.0)


@dataclass(frozen=True)
class Reading:
    """One way to read the numbers of a camera.

    name: completes "read ...". change: the camera as it is meant, in headfit's convention, or None where the reading
        cannot be meant. of_landmarks: the landmarks are read in another way, the cameras as given.
    """

    name: str
    change: Callable[[Camera], Camera | None]
    of_landmarks: bool = False


@dataclass(frozen=True, eq=False)
class Judged:
    """A reading, the cameras under it, and how well the views agree then."""

    reading: Reading
    cameras: list[Camera]
    agreement: Agreement

    def cost(self, size: float) -> float:
        """The residual with the handicaps, pixels; `size` is the head's, pixels."""
        face, cost = self.agreement.face, self.agreement.residual
        if face is not None and face.mirrored:
            cost += MIRRORED_HANDICAP * size
        if face is not None and not face.plausible_size:
            cost += SIZE_HANDICAP * size
        if not all(_plausible_principal(camera) for camera in self.cameras):
            cost += PRINCIPAL_HANDICAP * size
        return cost


def _posed(camera: Camera, R: Float, t: Float) -> Camera:
    return replace(camera, R=R, t=t)


def _scaled(camera: Camera, x: float, y: float) -> Camera:
    return replace(camera, K=np.diag([x, y, 1.0]) @ camera.K)


def _focal_scaled(camera: Camera, factor: float) -> Camera:
    K = camera.K.copy()
    K[:2, :2] *= factor
    return replace(camera, K=K)


def _moved(camera: Camera, x: float, y: float) -> Camera:
    K = camera.K.copy()
    K[:2, 2] += x, y
    return replace(camera, K=K)


def _with_principal(camera: Camera, x: float, y: float) -> Camera | None:
    moved = _moved(camera, x - camera.K[0, 2], y - camera.K[1, 2])
    return moved if _plausible_principal(moved) else None


def _by_ratio(camera: Camera) -> Camera | None:
    """K scaled so that its principal point is at the middle of the image's width."""
    if camera.K[0, 2] <= 0:
        return None
    factor = camera.width / (2 * camera.K[0, 2])
    return _scaled(camera, factor, factor) if abs(np.log(factor)) > np.log(1.1) else None


def _transposed_intrinsics(camera: Camera) -> Camera | None:
    """K of the picture before it was turned by 90 degrees."""
    K = camera.K.copy()
    K[[0, 1], [0, 1]] = K[[1, 0], [1, 0]]
    K[[0, 1], 2] = K[[1, 0], 2]
    swapped = replace(camera, K=K)
    return swapped if abs(np.log(K[0, 0] / K[1, 1])) > 0.02 and _plausible_principal(swapped) else None


def _plausible_principal(camera: Camera) -> bool:
    share = camera.K[:2, 2] / camera.size
    return bool(((share > PRINCIPAL_RANGE[0]) & (share < PRINCIPAL_RANGE[1])).all())


GIVEN = Reading("as given", lambda c: c)

POSES = (
    Reading("with R transposed", lambda c: _posed(c, c.R.T, c.t)),
    Reading("as camera-to-world", lambda c: _posed(c, c.R.T, -c.R.T @ c.t)),
    Reading("with t as the camera's centre", lambda c: _posed(c, c.R, -c.R @ c.t)),
    Reading("with OpenGL axes (y up, z backward)", lambda c: _posed(c, FLIP @ c.R, FLIP @ c.t)),
    Reading("as camera-to-world with OpenGL axes", lambda c: _posed(c, FLIP @ c.R.T, -FLIP @ c.R.T @ c.t)),
    Reading("with OpenGL axes and t as the camera's centre", lambda c: _posed(c, FLIP @ c.R, -FLIP @ c.R @ c.t)),
    Reading("with OpenGL axes, R transposed", lambda c: _posed(c, FLIP @ c.R.T, FLIP @ c.t)),
)

INTRINSICS = (
    Reading("with K of a picture twice as large", lambda c: _scaled(c, 0.5, 0.5)),
    Reading("with K of a picture half as large", lambda c: _scaled(c, 2, 2)),
    Reading("with K of a picture 4 times as large", lambda c: _scaled(c, 0.25, 0.25)),
    Reading("with K of a picture a quarter as large", lambda c: _scaled(c, 4, 4)),
    Reading("with K of a picture of another size (by its principal point)", _by_ratio),
    Reading("with fx and fy of a picture twice as large", lambda c: _focal_scaled(c, 0.5)),
    Reading("with fx and fy of a picture half as large", lambda c: _focal_scaled(c, 2)),
    Reading("with fx and fy of a picture 4 times as large", lambda c: _focal_scaled(c, 0.25)),
    Reading("with fx and fy of a picture a quarter as large", lambda c: _focal_scaled(c, 4)),
    Reading("with K as shares of the picture's size", lambda c: _scaled(c, c.width, c.height)),
    Reading("with cx and cy swapped", lambda c: _with_principal(c, c.K[1, 2], c.K[0, 2])),
    Reading("with fx, cx and fy, cy swapped", _transposed_intrinsics),
    Reading("with cy from the bottom", lambda c: _with_principal(c, c.K[0, 2], c.height - c.K[1, 2])),
    Reading("with cx from the right", lambda c: _with_principal(c, c.width - c.K[0, 2], c.K[1, 2])),
    *(
        Reading(
            f"with the principal point moved by {text} of a picture",
            lambda c, x=x, y=y: _with_principal(c, c.K[0, 2] + x * c.width, c.K[1, 2] + y * c.height),  # type: ignore[misc]
        )
        for x, y, text in (
            (0.5, 0.5, "half the width and height"),
            (-0.5, -0.5, "minus half the width and height"),
            (0.5, 0.0, "half the width"),
            (-0.5, 0.0, "minus half the width"),
            (0.0, 0.5, "half the height"),
            (0.0, -0.5, "minus half the height"),
        )
    ),
    Reading("with the principal point in the middle of the picture", lambda c: _moved_to_middle(c)),
)

#: Too small to spoil a fit, but a bias: OpenCV's and COLMAP's pixel coordinates mixed up.
HALF_PIXELS = (
    Reading("with half a pixel added to cx and cy", lambda c: _moved(c, 0.5, 0.5)),
    Reading("with half a pixel taken from cx and cy", lambda c: _moved(c, -0.5, -0.5)),
)

#: Readings whose residuals can be small all the same.
SMALL_ERRORS = (
    *HALF_PIXELS,
    *(r for r in (*POSES, *INTRINSICS) if r.name.endswith(("R transposed", "swapped", "from the bottom", "the right"))),
)

#: For landmarks: what the points themselves may be given in.
POINT_READINGS: dict[str, Callable[[Float, Camera], Float]] = {
    "as shares of the picture's size": lambda p, c: p * c.size,
    "in a picture twice as large": lambda p, c: p * 0.5,
    "in a picture 4 times as large": lambda p, c: p * 0.25,
    "in a picture half as large": lambda p, c: p * 2,
    "in a picture a quarter as large": lambda p, c: p * 4,
    "with y from the bottom": lambda p, c: np.stack([p[..., 0], c.height - p[..., 1]], -1),
    "with x from the right": lambda p, c: np.stack([c.width - p[..., 0], p[..., 1]], -1),
    "with x and y swapped": lambda p, c: p[..., ::-1],
}


def _moved_to_middle(camera: Camera) -> Camera | None:
    """Only for a principal point that cannot be meant."""
    if _plausible_principal(camera):
        return None
    return _with_principal(camera, camera.width / 2, camera.height / 2)


def judge(cameras: Sequence[Camera], seen: Observations, readings: Iterable[Reading]) -> list[Judged]:
    """How well the views agree under each reading that can be meant for all cameras."""
    judged = []
    for reading in readings:
        changed = [reading.change(camera) for camera in cameras]
        meant = [camera for camera in changed if camera is not None]
        if len(meant) == len(cameras):
            judged.append(Judged(reading, meant, agreement(meant, seen)))
    return judged


def best_reading(given: Judged, others: Sequence[Judged], size: float, allowed: float) -> Judged | None:
    """The reading under which the views agree clearly better than as given; None where there is none.

    Args:
        given: the numbers as given in the file.
        others: the other readings, likelier ones first.
        size: the head's size in the pictures, pixels.
        allowed: residual up to which a reading counts as agreeing, pixels.
    """
    was, mirrored = given.agreement.residual, given.agreement.face is not None and given.agreement.face.mirrored
    fitting = []
    for other in others:
        now, face = other.agreement.residual, other.agreement.face
        improves = now < FITTING_SHARE * was and was - now > MIN_IMPROVEMENT
        turns = mirrored and face is not None and not face.mirrored and now <= 1.2 * was + MIN_IMPROVEMENT
        if now <= allowed and (improves or turns):
            fitting.append(other)
    best = min(fitting, key=lambda other: other.cost(size), default=None)
    return best if best is not None and best.cost(size) < given.cost(size) else None


def unit_factor(found: Judged) -> float | None:
    """The power of ten that gives the triangulated face a human size; None where it has one, or none helps."""
    face = found.agreement.face
    if face is None or face.plausible_size:
        return None
    for factor in UNIT_FACTORS:
        if face._replace(eye_distance=face.eye_distance * factor).plausible_size:
            return factor
    return None


def judge_landmarks(cameras: Sequence[Camera], seen: Observations) -> list[Judged]:
    """How well the views agree when the landmarks, not the cameras, are read in another way."""
    judged = []
    for name, change in POINT_READINGS.items():
        pixels = np.stack([change(p, camera) for p, camera in zip(seen.pixels, seen.of(cameras), strict=True)])
        reading = Reading(f"with landmarks {name}", lambda c: c, of_landmarks=True)
        judged.append(Judged(reading, list(cameras), agreement(cameras, replace(seen, pixels=pixels))))
    return judged


def fit_one_camera(cameras: Sequence[Camera], seen: Observations, view: int) -> tuple[float, Reading, float] | None:
    """One camera against the points on which the others agree.

    Returns:
        Its median residual as given (pixels), the reading that fits it best, and the residual under that; None where
        it shares no point with two others.
    """
    others = [v for v in range(len(seen.cameras)) if v != view]
    rest = replace(
        seen, cameras=[seen.cameras[v] for v in others], pixels=seen.pixels[others], weights=seen.weights[others]
    )
    points = agreement(cameras, rest).points
    sure = np.isfinite(points).all(axis=1) & (seen.weights[view] > 0)
    if not sure.any():
        return None
    given, points, pixels = cameras[seen.cameras[view]], points[sure], seen.pixels[view][sure]

    def residual(camera: Camera | None, observed: Float) -> float:
        if camera is None or (camera.to_camera(points)[:, 2] <= 0).mean() > 0.5:
            return float(np.inf)
        with np.errstate(all="ignore"):
            return float(np.median(np.linalg.norm(camera.project(points) - observed, axis=1)))

    scored = [(residual(reading.change(given), pixels), reading) for reading in (*POSES, *INTRINSICS)]
    if seen.kind == "landmarks":
        scored += [
            (residual(given, change(pixels, given)), Reading(f"with landmarks {name}", lambda c: c, of_landmarks=True))
            for name, change in POINT_READINGS.items()
        ]
    best, reading = min(scored, key=lambda entry: entry[0])
    return residual(given, pixels), reading, best


def late_cameras(cameras: Sequence[Camera], seen: Observations) -> dict[int, tuple[int, float, float]]:
    """Cameras whose landmarks fit those of the others a frame earlier or later.

    Returns:
        By index of the camera: the shift in frames (1: its pictures are one frame late), and the residuals (pixels)
        as given and with the shift.
    """
    found = {}
    names = np.unique(seen.point)
    column = {(int(f), int(p)): n for n, (f, p) in enumerate(zip(seen.frame, seen.point, strict=True))}
    for view, index in enumerate(seen.cameras):
        others = [v for v in range(len(seen.cameras)) if v != view]
        rest = replace(
            seen, cameras=[seen.cameras[v] for v in others], pixels=seen.pixels[others], weights=seen.weights[others]
        )
        points = agreement(cameras, rest).points
        residuals: dict[int, float] = {}
        for shift in (0, 1, -1):
            pairs = [
                (n, column[int(seen.frame[n]) - shift, int(seen.point[n])])
                for n in range(len(seen.point))
                if (int(seen.frame[n]) - shift, int(seen.point[n])) in column
            ]
            kept = [(n, m) for n, m in pairs if seen.weights[view, n] > 0 and np.isfinite(points[m]).all()]
            if len(kept) < len(names) // 2:
                continue
            mine, theirs = np.array(kept).T
            apart = cameras[index].project(points[theirs]) - seen.pixels[view][mine]
            residuals[shift] = float(np.mean(np.linalg.norm(apart, axis=1)))
        if 0 not in residuals:
            continue
        best = min(residuals, key=lambda shift: residuals[shift])
        if residuals[best] < FITTING_SHARE * residuals[0] and residuals[0] - residuals[best] > MIN_IMPROVEMENT:
            found[index] = (best, residuals[0], residuals[best])
    return found
