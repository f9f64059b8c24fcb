"""Robust points in space from their pictures in several calibrated views."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera

Float = NDArray[np.float64]

# More pairs of views than this are thinned out: the best pair needs only to be a good start.
_MAX_PAIRS = 300
_REFINEMENTS = 8


class Triangulation(NamedTuple):
    """What V views say about a point, or about N points (then [..., N]).

    points [..., 3]: world, metres; nan where fewer than two views agree.
    residuals [V, ...]: undistorted pixels between observation and point; nan without an observation.
    inliers [V, ...] bool: the views that agree. Two views nearly always agree with each other: only a
    third one confirms a point.
    """

    points: Float
    residuals: Float
    inliers: NDArray[np.bool_]


def triangulate(
    cameras: Sequence[Camera], pixels: Float, weights: Float | None = None, tolerance: float | None = None
) -> Triangulation:
    """Triangulate one or many points, dropping views that disagree with the others.

    cameras: V of them.
    pixels [V,2] or [V,N,2]: observed pixels, with the lens distortion that is in the image.
    weights [V] or [V,N]: confidence of each observation, 0 for none. Default: all one.
    tolerance: pixels within which a view agrees with a point. Default: 1 % of the largest image's diagonal.

    Every pair of views proposes a point (linear triangulation: Hartley and Zisserman, Multiple View Geometry,
    12.2). The proposal with the smallest weighted, truncated squared error over all views wins. It is
    refined on its inliers to the least squared pixel error by reweighting the linear equations with
    1/depth (Hartley and Sturm, Triangulation, 1997). A point behind a camera does not agree with it.
    """
    pixels = np.asarray(pixels, dtype=np.float64)
    single = pixels.ndim == 2
    if single:
        pixels = pixels[:, None]
    views, count = pixels.shape[:2]
    confidence = np.ones((views, count)) if weights is None else np.asarray(weights).reshape(views, count)
    if tolerance is None:
        tolerance = 0.01 * max(np.hypot(camera.width, camera.height) for camera in cameras)

    rays = _Rays(cameras, np.where(confidence[..., None] > 0, pixels, 0.0))
    best = np.full((count, 3), np.nan)
    lowest = np.full(count, np.inf)
    for pair in _pairs(views):
        chosen = np.zeros((views, count))
        chosen[list(pair)] = 1.0
        proposal = rays.solve(chosen)
        seen = (confidence[list(pair)] > 0).all(axis=0)
        error = np.minimum(rays.residuals(proposal), tolerance)
        agrees = seen & (rays.residuals(proposal)[list(pair)] < tolerance).all(axis=0)
        cost = np.where(agrees, (confidence * error**2).sum(axis=0), np.inf)
        better = cost < lowest
        best[better], lowest[better] = proposal[better], cost[better]

    for _ in range(_REFINEMENTS):
        inliers = (rays.residuals(best) < tolerance) & (confidence > 0)
        best = rays.solve(confidence * inliers / rays.depths(best) ** 2)
    residuals = rays.residuals(best)
    inliers = (residuals < tolerance) & (confidence > 0)
    best[inliers.sum(axis=0) < 2] = np.nan
    inliers &= np.isfinite(best).all(axis=1)
    residuals = np.where(confidence > 0, residuals, np.nan)
    if single:
        return Triangulation(best[0], residuals[:, 0], inliers[:, 0])
    return Triangulation(best, residuals, inliers)


def _pairs(views: int) -> list[tuple[int, int]]:
    pairs = list(combinations(range(views), 2))
    if len(pairs) > _MAX_PAIRS:
        chosen = np.random.default_rng(0).choice(len(pairs), _MAX_PAIRS, replace=False)
        pairs = [pairs[index] for index in chosen]
    return pairs


class _Rays:
    """The observations as undistorted coordinates at depth one, and the linear equations they give.

    A point X is seen at (u, v) where R0.X + t0 = u (R2.X + t2), and the same with R1, t1 and v.
    """

    def __init__(self, cameras: Sequence[Camera], pixels: Float):
        self.rotations = np.stack([camera.R for camera in cameras])
        self.translations = np.stack([camera.t for camera in cameras])
        self.focals = np.array([[np.sqrt(camera.K[0, 0] * camera.K[1, 1])] for camera in cameras])
        self.plane = np.stack([camera.to_plane(view) for camera, view in zip(cameras, pixels, strict=True)])
        u, t = self.plane[..., None], self.translations[:, None, :, None]
        rows = self.rotations[:, None, :2] - u * self.rotations[:, None, 2:]
        rights = u[..., 0] * t[:, :, 2] - t[:, :, :2, 0]
        # Per observation, the normal equations of its two rows, in pixels once divided by depth squared.
        squared = self.focals[..., None] ** 2
        self.normal = squared[..., None] * np.einsum("vnki,vnkj->vnij", rows, rows)
        self.right = squared * np.einsum("vnki,vnk->vni", rows, rights)

    def solve(self, weights: Float) -> Float:
        """The points [N,3] of least squared error under the weights [V,N]; nan where they leave it open."""
        weights = np.nan_to_num(weights, posinf=0.0)
        normal = np.einsum("vn,vnij->nij", weights, self.normal)
        right = np.einsum("vn,vni->ni", weights, self.right)
        solvable = np.linalg.cond(normal) < 1e12
        points = np.full(right.shape, np.nan)
        points[solvable] = np.linalg.solve(normal[solvable], right[solvable, :, None])[..., 0]
        return points

    def _in_camera(self, points: Float) -> Float:
        return np.einsum("vij,nj->vni", self.rotations, points) + self.translations[:, None]

    def depths(self, points: Float) -> Float:
        return self._in_camera(points)[..., 2]

    def residuals(self, points: Float) -> Float:
        """Distances [V,N] in undistorted pixels; infinite behind a camera and where there is no point."""
        in_camera = self._in_camera(points)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = in_camera[..., :2] / in_camera[..., 2:] - self.plane
            distance = self.focals * np.linalg.norm(offset, axis=-1)
        return np.where(in_camera[..., 2] > 0, distance, np.inf)
