"""Do the cameras of a capture look like a rig around a head? Wrong axes and wrong units show here first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera

# A head in the picture, or a head and shoulders, or a head of which the picture shows most.
PLAUSIBLE_HEAD_METRES = (0.08, 1.0)


@dataclass(frozen=True, eq=False)
class Rig:
    """The geometry of a rig.

    look_at [3]: the point nearest to all optical axes (world, metres); nan if there is one camera, or if the
        axes are parallel.
    distance [C]: from each camera to that point along its viewing direction, metres; negative if behind it.
    miss [C]: how far each optical axis passes from it, metres.
    widest_angle: the largest angle between two viewing directions, degrees.
    """

    look_at: NDArray[np.float64]
    distance: NDArray[np.float64]
    miss: NDArray[np.float64]
    widest_angle: float


def describe_rig(cameras: Sequence[Camera]) -> Rig:
    """The rig of the cameras' optical axes."""
    centres = np.stack([camera.centre for camera in cameras])
    directions = np.stack([camera.direction for camera in cameras])
    # The squared distance of X from an axis is |P (X - c)|^2 with P = I - d dT; its sum is least where sum
    # P X = sum P c.
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
    """What looks wrong.

    Args:
        cameras: the cameras.
        rig: their geometry.
        head_pixels: for each camera the usual width of the head in its image; nan where unknown, and the image's
            smaller side is taken instead.
        compared: what the views show was compared (see `consistency`): that says more than where optical axes meet,
            which only guesses at the rig.
    """
    warnings = []
    for camera in cameras:
        offset = np.abs(camera.K[:2, 2] / [camera.width, camera.height] - 0.5).max()
        if offset > 0.3:
            warnings.append(
                f"camera {camera.id}: the principal point {camera.K[:2, 2].round().tolist()} is far from the "
                f"middle of its {camera.width}x{camera.height} image. Was K calibrated at another size?"
            )
    if not np.isfinite(rig.look_at).all():
        if len(cameras) > 1:
            warnings.append("the cameras all look in the same direction: depth can hardly be told")
        return warnings
    if compared:
        return warnings
    behind = [camera.id for camera, distance in zip(cameras, rig.distance, strict=True) if distance <= 0]
    if behind:
        warnings.append(
            f"the point the cameras look at lies behind {', '.join(behind)}. "
            "Expected x_cam = R x_world + t with z forward (OpenCV axes)."
        )
        return warnings
    strays = [camera.id for camera, miss in zip(cameras, rig.miss / rig.distance, strict=True) if miss > 0.3]
    if strays:
        warnings.append(
            f"{', '.join(strays)}: the optical axis passes far from the point that the cameras look at. "
            "Is R, t from world to camera?"
        )
    head = _head_metres(cameras, rig, head_pixels)
    if not PLAUSIBLE_HEAD_METRES[0] <= head <= PLAUSIBLE_HEAD_METRES[1]:
        warnings.append(f"the head would be {head:.3g} m wide. Are the camera positions in the unit of 'units'?")
    return warnings


def _head_metres(cameras: Sequence[Camera], rig: Rig, head_pixels: Sequence[float]) -> float:
    pixels = [
        known if np.isfinite(known) else min(camera.width, camera.height)
        for camera, known in zip(cameras, head_pixels, strict=True)
    ]
    focals = np.array([camera.K[0, 0] for camera in cameras])
    return float(np.median(np.array(pixels) * rig.distance / focals))
