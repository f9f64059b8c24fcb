"""One calibrated camera: world to pixels and back.

World points are in metres. Camera axes are OpenCV's (x right, y down, z forward), `x_cam = R x_world + t`.
Pixel coordinates are measured from the image's top-left CORNER: the centre of the first pixel is (0.5, 0.5).
With this convention resizing an image is a pure scaling of its coordinates. (OpenCV's own functions put the
origin on the first pixel's centre: their principal point is ours minus one half.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headfit.capture.framing import Framing
from headfit.errors import HeadfitError

Float = NDArray[np.float64]

NO_DISTORTION = np.zeros(5)


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole camera with OpenCV's five-parameter lens distortion.

    width, height in pixels; K [3,3] in pixels; R [3,3] and t [3] (metres) take world points to camera points;
    dist [5] = (k1, k2, p1, p2, k3), on coordinates divided by depth (OpenCV manual, "Camera Calibration and
    3D Reconstruction", the model without the rational terms).
    """

    id: str
    width: int
    height: int
    K: Float
    R: Float
    t: Float
    dist: Float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, pixels."""
        return self.width, self.height

    @property
    def longest_side(self) -> int:
        """The longer of width and height, pixels."""
        return max(self.width, self.height)

    @property
    def centre(self) -> Float:
        """The optical centre in the world [3], metres."""
        return -self.R.T @ self.t

    @property
    def direction(self) -> Float:
        """The unit viewing direction in the world [3]."""
        return self.R[2].copy()

    def scaled(self, scale: float) -> Camera:
        """The same camera with its image resized to `scale` times the size (rounded, at least one pixel).

        The rounded size sets the exact factor per axis, so K stays true to the resized pixels.
        """
        width = max(1, round(self.width * scale))
        height = max(1, round(self.height * scale))
        resize = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, width=width, height=height, K=resize @ self.K)

    def framed(self, framing: Framing) -> Camera:
        """The same camera for a window of its picture that is resized."""
        shift = np.array([[1.0, 0.0, -framing.x], [0.0, 1.0, -framing.y], [0.0, 0.0, 1.0]])
        resize = np.diag([*framing.factors, 1.0])
        return replace(self, width=framing.out_width, height=framing.out_height, K=resize @ (shift @ self.K))

    def to_camera(self, points: Float) -> Float:
        """World points [..., 3] to camera points [..., 3], metres; z is the depth."""
        return points @ self.R.T + self.t

    def project(self, points: Float) -> Float:
        """World points [..., 3], metres, to pixels [..., 2]. Meaningless behind the camera."""
        in_camera = self.to_camera(points)
        plane = in_camera[..., :2] / in_camera[..., 2:]
        return _apply_intrinsics(self.K, distort(plane, self.dist))

    def to_plane(self, pixels: Float) -> Float:
        """Pixels [..., 2] to undistorted coordinates at depth one [..., 2]: the ray through (x, y, 1)."""
        y = (pixels[..., 1] - self.K[1, 2]) / self.K[1, 1]
        x = (pixels[..., 0] - self.K[0, 2] - self.K[0, 1] * y) / self.K[0, 0]
        return undistort(np.stack([x, y], axis=-1), self.dist)

    def undistort_points(self, pixels: Float) -> Float:
        """Pixels [..., 2] to where they would be without lens distortion, same K [..., 2]."""
        return _apply_intrinsics(self.K, self.to_plane(pixels))


def index_of_camera(cameras: Sequence[Camera], camera_id: str, capture: str) -> int:
    """The index of a camera. Raises HeadfitError listing the cameras when none has that id.

    Args:
        cameras: the cameras of a capture.
        camera_id: the id that is looked for.
        capture: name or place of the capture, for the message.
    """
    for index, camera in enumerate(cameras):
        if camera.id == camera_id:
            return index
    known = ", ".join(camera.id for camera in cameras)
    raise HeadfitError(f"{capture}: no camera {camera_id!r} in this capture. Its cameras: {known}.")


def _apply_intrinsics(K: Float, plane: Float) -> Float:
    return plane @ K[:2, :2].T + K[:2, 2]


def distort(plane: Float, dist: Float) -> Float:
    """Coordinates at depth one [..., 2] to where the lens puts them [..., 2]."""
    k1, k2, p1, p2, k3 = dist
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def undistort(distorted: Float, dist: Float, iterations: int = 10) -> Float:
    """The inverse of `distort`, by Newton's method started at the distorted coordinates.

    Converges quadratically where the lens model is one-to-one, as a valid calibration is inside the image.
    """
    if not np.any(dist):
        return np.array(distorted, dtype=np.float64)
    k1, k2, p1, p2, k3 = dist
    plane = np.array(distorted, dtype=np.float64)
    for _ in range(iterations):
        x, y = plane[..., 0], plane[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        radial_slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)  # d radial / d r2
        dxx = radial + 2 * x * x * radial_slope + 2 * p1 * y + 6 * p2 * x
        dyy = radial + 2 * y * y * radial_slope + 6 * p1 * y + 2 * p2 * x
        dxy = 2 * x * y * radial_slope + 2 * p1 * x + 2 * p2 * y  # the Jacobian is symmetric
        error = distort(plane, dist) - distorted
        determinant = dxx * dyy - dxy * dxy
        plane[..., 0] -= (dyy * error[..., 0] - dxy * error[..., 1]) / determinant
        plane[..., 1] -= (dxx * error[..., 1] - dxy * error[..., 0]) / determinant
    return plane
