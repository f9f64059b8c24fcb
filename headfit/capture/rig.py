"""The geometry of a camera rig, and signs that its axes, units or lenses are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headfit.capture.camera import Camera
from headfit.errors import some_of
from headfit.types import Float

#: Plausible widths (metres) of what fills an image: most of a head, up to head and shoulders.
PLAUSIBLE_HEAD_METRES = (0.08, 1.0)
#: Distance of a principal point from the image's middle, as a share of the image, that is suspicious.
MAX_OFF_CENTRE = 0.3
#: Share of its distance by which an optical axis may miss the point that the cameras look at.
MAX_MISS = 0.3


@dataclass(frozen=True, eq=False)
class Rig:
    """The geometry of a rig of C cameras.

    Attributes:
        look_at: `[3]` the point nearest to all optical axes (world, metres); nan for one camera or parallel axes.
        distance: `[C]` from each camera to that point along its viewing direction, metres; negative if it is behind.
        miss: `[C]` distance of each optical axis from that point, metres.
        widest_angle: the largest angle between two viewing directions, degrees.
    """

    look_at: Float
    distance: Float
    miss: Float
    widest_angle: float


def describe_rig(cameras: Sequence[Camera]) -> Rig:
    """The geometry of a rig, from the optical axes of its cameras."""
    centres = np.stack([camera.centre for camera in cameras])
    directions = np.stack([camera.direction for camera in cameras])
    # The squared distance of X from an axis is |P (X - c)|^2 with P = I - d dT. Their sum is least where
    # sum P X = sum P c.
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    normal = across.sum(axis=0)
    look_at = np.full(3, np.nan)
    if np.linalg.cond(normal) < 1e8:
        look_at = np.linalg.solve(normal, np.einsum("cij,cj->i", across, centres))
    to_look_at = look_at - centres
    cosine = np.clip((directions @ directions.T).min(), -1, 1)
    return Rig(
        look_at=look_at,
        distance=np.einsum("ci,ci->c", to_look_at, directions),
        miss=np.linalg.norm(np.einsum("cij,cj->ci", across, to_look_at), axis=1),
        widest_angle=float(np.rad2deg(np.arccos(cosine))),
    )


def rig_warnings(
    cameras: Sequence[Camera], rig: Rig, head_pixels: Sequence[float], compared: bool = False
) -> list[str]:
    """Warnings about what looks wrong.

    Args:
        cameras: the cameras.
        rig: their geometry.
        head_pixels: for each camera the median width of the head in its images; nan where it is unknown, and the
            image's shorter side is used instead.
        compared: the views themselves were compared (see `consistency`). That says more than where the optical axes
            meet, which is then not tested.
    """
    warnings = []
    for camera in cameras:
        offset = np.abs(camera.K[:2, 2] / [camera.width, camera.height] - 0.5).max()
        if offset > MAX_OFF_CENTRE:
            warnings.append(
                f"camera {camera.id}: the principal point {camera.K[:2, 2].round().tolist()} is far from the "
                f"middle of its {camera.width}x{camera.height} image. Was K calibrated at another size?"
            )
        if _folds(camera):
            warnings.append(
                f"camera {camera.id}: its lens model folds back inside the image: 'dist' does not hold that far from "
                "the middle. Were the coefficients fitted at these pixels, and are they in the order of the lens model?"
            )
    if not np.isfinite(rig.look_at).all():
        if len(cameras) > 1:
            warnings.append("the cameras all look in the same direction, so depth is poorly determined")
        return warnings
    if compared:
        return warnings
    behind = [camera.id for camera, distance in zip(cameras, rig.distance, strict=True) if distance <= 0]
    if behind:
        warnings.append(
            f"the point that the cameras look at is behind {some_of(behind)}. "
            "Expected x_cam = R x_world + t with z forward (OpenCV axes)."
        )
        return warnings
    strays = [camera.id for camera, miss in zip(cameras, rig.miss / rig.distance, strict=True) if miss > MAX_MISS]
    if strays:
        warnings.append(
            f"{some_of(strays)}: the optical axis passes far from the point that the cameras look at. "
            "Is R, t from world to camera?"
        )
    head = head_metres(cameras, rig, head_pixels)
    if not PLAUSIBLE_HEAD_METRES[0] <= head <= PLAUSIBLE_HEAD_METRES[1]:
        warnings.append(f"the head would be {head:.3g} m wide. Are the camera positions in the unit of 'units'?")
    return warnings


def _folds(camera: Camera) -> bool:
    """Whether a corner of the image is beyond the angle up to which the camera's lens model is one-to-one."""
    corners = np.array([[x, y] for x in (0, camera.width) for y in (0, camera.height)], dtype=np.float64)
    cosine = camera.rays(corners)[:, 2]
    return not (cosine >= np.cos(camera.lens.valid_angle)).all()  # a corner without a ray is nan


def head_metres(cameras: Sequence[Camera], rig: Rig, head_pixels: Sequence[float]) -> float:
    """The width (metres, median) at the place that a rig looks at of what has these widths in its pictures.

    Args:
        cameras: the cameras.
        rig: their geometry.
        head_pixels: as in `rig_warnings`.
    """
    pixels = [
        known if np.isfinite(known) else min(camera.width, camera.height)
        for camera, known in zip(cameras, head_pixels, strict=True)
    ]
    focals = np.array([camera.focal for camera in cameras])
    return float(np.median(np.array(pixels) * rig.distance / focals))
