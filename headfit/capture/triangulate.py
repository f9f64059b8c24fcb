"""Robust triangulation of points from their pixels in several calibrated views."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from headfit.capture.camera import Camera
from headfit.types import Bool, Float

#: Most pairs of views that are tried: the best one only has to be a good start.
MAX_PAIRS = 300
REFINEMENTS = 8
#: Cosine to the optical axis below which the error of a ray is measured perpendicular to the ray.
MIN_COSINE = 0.2


class Triangulation(NamedTuple):
    """A point, or N points, triangulated from V views.

    Attributes:
        points: `[3]` or `[N,3]`, world, metres; nan where fewer than two views agree.
        residuals: `[V]` or `[V,N]`, undistorted pixels between observation and point; nan without an observation.
        inliers: bool `[V]` or `[V,N]`, the views that agree. Two views nearly always agree with each other, so only a
            third one confirms a point.
    """

    points: Float
    residuals: Float
    inliers: Bool


def triangulate(
    cameras: Sequence[Camera], pixels: Float, weights: Float | None = None, tolerance: float | None = None
) -> Triangulation:
    """Triangulate one or many points without the views that disagree with the others.

    Every pair of views proposes a point (linear triangulation: Hartley and Zisserman, Multiple View Geometry,
    12.2). The proposal with the smallest weighted, truncated squared error over all views is kept, and
    refined on its inliers to the least squared pixel error by reweighting the linear equations with
    1/depth (Hartley and Sturm, Triangulation, 1997). A view does not agree with a point behind its camera.

    Args:
        cameras: V of them.
        pixels: `[V,2]` or `[V,N,2]` observed pixels, as in the image, with lens distortion.
        weights: `[V]` or `[V,N]` confidence of each observation, 0 for none; default: 1.
        tolerance: pixels within which a view agrees with a point; default: 1 % of the largest image diagonal.
    """
    pixels = np.asarray(pixels, dtype=np.float64)
    single = pixels.ndim == 2
    if single:
        pixels = pixels[:, None]
    views, count = pixels.shape[:2]
    confidence = np.ones((views, count)) if weights is None else np.asarray(weights).reshape(views, count)
    if tolerance is None:
        tolerance = 0.01 * max(camera.diagonal for camera in cameras)

    rays = _Rays(cameras, np.where(confidence[..., None] > 0, pixels, 0.0))
    confidence = np.where(rays.seen, confidence, 0.0)
    best = np.full((count, 3), np.nan)
    lowest = np.full(count, np.inf)
    for pair in _pairs(views):
        proposal = rays.between(*pair)
        seen = (confidence[list(pair)] > 0).all(axis=0)
        error = rays.residuals(proposal)
        agrees = seen & (error[list(pair)] < tolerance).all(axis=0)
        cost = np.where(agrees, (confidence * np.minimum(error, tolerance) ** 2).sum(axis=0), np.inf)
        better = cost < lowest
        best[better], lowest[better] = proposal[better], cost[better]

    for _ in range(REFINEMENTS):
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
    if len(pairs) > MAX_PAIRS:
        chosen = np.random.default_rng(0).choice(len(pairs), MAX_PAIRS, replace=False)
        pairs = [pairs[index] for index in chosen]
    return pairs


class _Rays:
    """The observations as unit rays in their cameras, and the linear equations that they give.

    With n the normal of a plane and e1, e2 orthonormal directions in it, a point X with camera coordinates
    x = R X + t is on the ray when e_k.x = (e_k.ray / n.ray) (n.x), k = 1, 2. The difference of both sides, divided by
    the depth n.x and times the focal length, is the point's distance from the ray in pixels.

    The plane is the camera's image plane, so that errors are those of its pixels, except for rays so far off the axis
    that they hit that plane at a grazing angle or not at all: there it is perpendicular to the ray.
    """

    def __init__(self, cameras: Sequence[Camera], pixels: Float):
        self.rotations = np.stack([camera.R for camera in cameras])
        self.translations = np.stack([camera.t for camera in cameras])
        self.focals = np.array([[camera.focal] for camera in cameras])
        rays = np.stack([camera.rays(view) for camera, view in zip(cameras, pixels, strict=True)])
        self.seen: Bool = np.asarray(np.isfinite(rays).all(axis=-1))
        rays = np.where(self.seen[..., None], rays, [0.0, 0.0, 1.0])
        planes = _planes(rays)
        axes, self.normals = planes[..., :2, :], planes[..., 2, :]
        # Row k of an observation, to be multiplied with x: e_k - (e_k.ray / n.ray) n.
        slopes = np.einsum("vnki,vni->vnk", axes, rays) / np.einsum("vni,vni->vn", self.normals, rays)[..., None]
        self.rows = axes - slopes[..., None] * self.normals[..., None, :]
        in_world = np.einsum("vnki,vij->vnkj", self.rows, self.rotations)
        rights = -np.einsum("vnki,vi->vnk", self.rows, self.translations)
        # Per observation, the normal equations of its two rows, in pixels once divided by depth squared.
        squared = self.focals[..., None] ** 2
        self.normal = squared[..., None] * np.einsum("vnki,vnkj->vnij", in_world, in_world)
        self.right = squared * np.einsum("vnki,vnk->vni", in_world, rights)

    def solve(self, weights: Float) -> Float:
        """The points `[N,3]` of least squared error under the weights `[V,N]`; nan where they are undetermined."""
        weights = np.nan_to_num(weights, posinf=0.0)
        return _solved(np.einsum("vn,vnij->nij", weights, self.normal), np.einsum("vn,vni->ni", weights, self.right))

    def between(self, one: int, other: int) -> Float:
        """`solve` for two views of equal weight."""
        return _solved(self.normal[one] + self.normal[other], self.right[one] + self.right[other])

    def _in_camera(self, points: Float) -> Float:
        return points @ self.rotations.transpose(0, 2, 1) + self.translations[:, None]

    def depths(self, points: Float) -> Float:
        """Depths `[V,N]` along the normals of the observations' planes, metres."""
        return self._depths(self._in_camera(points))

    def _depths(self, in_camera: Float) -> Float:
        return np.einsum("vni,vni->vn", self.normals, in_camera)

    def residuals(self, points: Float) -> Float:
        """Distances `[V,N]` in undistorted pixels; infinite behind a camera and where there is no point."""
        in_camera = self._in_camera(points)
        depths = self._depths(in_camera)
        offset = np.einsum("vnki,vni->vnk", self.rows, in_camera)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = self.focals * np.linalg.norm(offset, axis=-1) / depths
        return np.where(depths > 0, distance, np.inf)


def _solved(normal: Float, right: Float) -> Float:
    """The solutions `[N,3]` of normal equations `[N,3,3]` with right sides `[N,3]`; nan where they are undetermined."""
    solvable = np.linalg.cond(normal) < 1e12
    points = np.full(right.shape, np.nan)
    points[solvable] = np.linalg.solve(normal[solvable], right[solvable, :, None])[..., 0]
    return points


def _planes(rays: Float) -> Float:
    """Orthonormal e1, e2, n `[V,N,3,3]` (rows) of the plane in which the error of each ray `[V,N,3]` is measured."""
    planes = np.broadcast_to(np.eye(3), (*rays.shape, 3)).copy()
    far = rays[..., 2] < MIN_COSINE
    n = rays[far]
    across = np.stack([n[:, 1], -n[:, 0], np.zeros(len(n))], axis=-1)  # not 0: the ray is far off the z axis
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    planes[far] = np.stack([across, np.cross(n, across), n], axis=1)
    return planes
