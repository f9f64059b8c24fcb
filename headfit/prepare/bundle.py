"""Bundle adjustment of a static rig: one pose per camera for all frames, one point per track.

Levenberg-Marquardt on the points' Schur complement (Triggs et al., Bundle Adjustment, a Modern Synthesis, 2000,
section 6). A residual is a pixel error in units of its standard deviation, under a Cauchy loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from headfit.types import Bool, Float, Int

#: A camera's local parameters: a rotation vector that is applied after its rotation, its translation, log of the focal.
LOCAL = 7
#: Standard deviations at which the Cauchy loss has halved a residual's weight.
CAUCHY = 2.0
#: Least relative gain of a step that goes on, and most steps.
LEAST_GAIN, MAX_STEPS = 3e-6, 100
#: Depth below which a point counts as behind the camera, relative to the median depth.
MIN_DEPTH = 0.05


@dataclass(frozen=True)
class Rig:
    """Static cameras without distortion and skew.

    Attributes:
        R, t: `[V,3,3]`, `[V,3]` world to camera.
        focal: `[V]` pixels. principal: `[V,2]` pixels.
    """

    R: Float
    t: Float
    focal: Float
    principal: Float

    def to_camera(self, views: Int, points: Float) -> Float:
        """World points `[N,3]` in the axes of their views `[N]`."""
        return np.einsum("nij,nj->ni", self.R[views], points) + self.t[views]

    def project(self, views: Int, points: Float) -> Float:
        """World points `[N,3]` as pixels `[N,2]` of their views `[N]`."""
        x = self.to_camera(views, points)
        return self.focal[views, None] * x[:, :2] / x[:, 2:] + self.principal[views]


@dataclass(frozen=True)
class Tracks:
    """Observations `[N]` of points: in which view, of which point, pixels `[N,2]`, standard deviation (pixels)."""

    view: Int
    point: Int
    pixels: Float
    sigma: Float

    @property
    def count(self) -> int:
        """The number of points."""
        return int(self.point.max(initial=-1)) + 1

    def only(self, chosen: Bool) -> Tracks:
        """The chosen `[N]` observations, with their points numbered anew."""
        numbers = np.unique(self.point[chosen], return_inverse=True)[1]
        return Tracks(self.view[chosen], numbers, self.pixels[chosen], self.sigma[chosen])


def adjust(
    rig: Rig, points: Float, tracks: Tracks, shared_focal: bool = True, steps: int = MAX_STEPS
) -> tuple[Rig, Float, Float]:
    """The rig and points `[M,3]` of least robust error, and each observation's error `[N]` in pixels.

    Args:
        rig: where to start.
        points: `[M,3]` where to start.
        tracks: what was observed.
        shared_focal: whether all cameras have one focal length; otherwise each has its own.
        steps: most steps.
    """
    damping, gain = 1e-3, 1.0
    cost = _cost(rig, points, tracks)
    for _ in range(steps):
        equations = _NormalEquations(rig, points, tracks, shared_focal)
        while damping < 1e8:
            candidate = _moved(rig, points, *equations.solve(damping))
            new = _cost(*candidate, tracks)
            if new < cost:
                break
            damping *= 4
        else:
            break
        (rig, points), gain, cost, damping = candidate, (cost - new) / cost, new, max(damping / 4, 1e-9)
        if gain < LEAST_GAIN:
            break
    return rig, points, np.linalg.norm(rig.project(tracks.view, points[tracks.point]) - tracks.pixels, axis=1)


def _cost(rig: Rig, points: Float, tracks: Tracks) -> float:
    x = rig.to_camera(tracks.view, points[tracks.point])
    if (x[:, 2] < MIN_DEPTH * np.median(x[:, 2])).any():
        return np.inf
    squared = ((rig.project(tracks.view, points[tracks.point]) - tracks.pixels) ** 2).sum(axis=1) / tracks.sigma**2
    return float(CAUCHY**2 * np.log1p(squared / CAUCHY**2).sum())


def _moved(rig: Rig, points: Float, of_cameras: Float, of_points: Float) -> tuple[Rig, Float]:
    turns = np.stack([cv2.Rodrigues(vector)[0] for vector in of_cameras[:, :3]])
    moved = replace(rig, R=turns @ rig.R, t=rig.t + of_cameras[:, 3:6], focal=rig.focal * np.exp(of_cameras[:, 6]))
    return moved, points + of_points


def jacobians(rig: Rig, views: Int, points: Float) -> tuple[Float, Float]:
    """Derivatives of `rig.project(views, points)`: by the cameras' local parameters `[N,2,7]`, by the points `[N,2,3]`.

    x = exp(w) R X + t, so dx/dw = -[R X]x; u = f x / z + c.
    """
    x = rig.to_camera(views, points)
    rotated = x - rig.t[views]
    f, z = rig.focal[views], x[:, 2]
    by_x = np.zeros((len(x), 2, 3))
    by_x[:, 0, 0] = by_x[:, 1, 1] = f / z
    by_x[:, :, 2] = -f[:, None] * x[:, :2] / z[:, None] ** 2
    cross = np.zeros((len(x), 3, 3))  # -[R X]x
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = rotated[:, 2], -rotated[:, 1], rotated[:, 0]
    cross -= cross.transpose(0, 2, 1)
    by_focal = (f[:, None] * x[:, :2] / z[:, None])[..., None]
    return np.concatenate([by_x @ cross, by_x, by_focal], axis=2), by_x @ rig.R[views]


class _NormalEquations:
    """The normal equations of one step, with the robust loss as weights."""

    def __init__(self, rig: Rig, points: Float, tracks: Tracks, shared_focal: bool) -> None:
        views, count = len(rig.R), len(points)
        residual = tracks.pixels - rig.project(tracks.view, points[tracks.point])
        squared = (residual**2).sum(axis=1) / tracks.sigma**2
        weight = 1 / (tracks.sigma**2 * (1 + squared / CAUCHY**2))
        by_camera, by_point = jacobians(rig, tracks.view, points[tracks.point])
        self.layout = _layout(views, shared_focal)
        self.cameras = views
        size = self.layout.max() + 1
        weighted = by_camera * weight[:, None, None]
        blocks = np.zeros((views, LOCAL, LOCAL))
        np.add.at(blocks, tracks.view, np.einsum("nki,nkj->nij", weighted, by_camera))
        gradient = np.zeros((views, LOCAL))
        np.add.at(gradient, tracks.view, np.einsum("nki,nk->ni", weighted, residual))
        self.left, self.right = np.zeros((size, size)), np.zeros(size)
        for view, into in enumerate(self.layout):
            self.left[np.ix_(into, into)] += blocks[view]
            self.right[into] += gradient[view]
        self.of_points, self.right_points = np.zeros((count, 3, 3)), np.zeros((count, 3))
        np.add.at(self.of_points, tracks.point, np.einsum("nki,nkj->nij", by_point * weight[:, None, None], by_point))
        np.add.at(self.right_points, tracks.point, np.einsum("nki,nk,n->ni", by_point, residual, weight))
        self.mixed = np.zeros((count, size, 3))
        rows = (tracks.point[:, None], self.layout[tracks.view])
        np.add.at(self.mixed, rows, np.einsum("nki,nkj->nij", weighted, by_point))

    def solve(self, damping: float) -> tuple[Float, Float]:
        """The step of the cameras' local parameters `[V,7]` and of the points `[M,3]`."""
        scale = np.einsum("mii->m", self.of_points)[:, None, None] * np.eye(3) / 3
        inverse = np.linalg.inv(self.of_points + damping * scale + 1e-12 * np.eye(3))
        shared = np.einsum("msi,mij->msj", self.mixed, inverse)
        left = self.left + damping * np.diag(np.diag(self.left)) - np.tensordot(shared, self.mixed, ([0, 2], [0, 2]))
        right = self.right - np.einsum("msi,mi->s", shared, self.right_points)
        step = np.linalg.lstsq(left, right, rcond=1e-14)[0]
        return step[self.layout], np.einsum(
            "mij,mj->mi", inverse, self.right_points - np.einsum("msi,s->mi", self.mixed, step)
        )


def _layout(views: int, shared_focal: bool) -> Int:
    """Where the local parameters of each camera are among all, `[V,7]`."""
    layout = np.arange(views * LOCAL).reshape(views, LOCAL)
    if shared_focal:
        layout = np.arange(views * (LOCAL - 1)).reshape(views, LOCAL - 1)
        layout = np.column_stack([layout, np.full(views, views * (LOCAL - 1))])
    return layout
