"""A portrait rig: cameras on an arc in front of the face, all looking at the head."""

from __future__ import annotations

import numpy as np

from headfit.capture import Camera

DISTANCE = 1.15  # metres from camera to head
FIELD = (0.26, 0.34)  # metres that an image shows at least at the distance of the head, horizontally and vertically
ARC = 75.0  # degrees to each side of the face


def portrait_rig(count: int, width: int, height: int, target: np.ndarray, rng: np.random.Generator) -> list[Camera]:
    """Cameras around a head that looks along +z, with y up.

    Yaw is spread evenly over the arc and pitch alternates. Yaw, pitch, distance and principal point are jittered, so
    that no two cameras are alike.

    Args:
        count: number of cameras.
        width, height: image size, pixels.
        target: `[3]` the point that they look at, metres.
        rng: source of the jitter.
    """
    yaws = np.linspace(-ARC, ARC, count) if count > 1 else np.zeros(1)
    cameras = []
    for index, yaw in enumerate(yaws):
        yaw_rad = np.deg2rad(yaw + rng.uniform(-3, 3))
        pitch_rad = np.deg2rad((12.0, -8.0)[index % 2] + rng.uniform(-4, 4))
        distance = DISTANCE * rng.uniform(0.97, 1.03)
        direction = np.array(
            [np.sin(yaw_rad) * np.cos(pitch_rad), np.sin(pitch_rad), np.cos(yaw_rad) * np.cos(pitch_rad)]
        )
        R = looking_along(-direction)
        focal = DISTANCE * min(width / FIELD[0], height / FIELD[1])
        centre = np.array([width, height]) * rng.uniform(0.49, 0.51, 2)
        K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
        t = -R @ (target + distance * direction)
        cameras.append(Camera(f"cam{index:02d}", width, height, K, R, t))
    return cameras


def looking_along(forward: np.ndarray) -> np.ndarray:
    """World-to-camera rotation `[3,3]` (OpenCV axes) of an upright camera that looks along `forward`; world y is up."""
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])
