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

from headfit.capture.framing import Framing
from headfit.capture.lenses import PINHOLE, Lens
from headfit.errors import HeadfitError
from headfit.types import Float


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera.

    Attributes:
        id: its name.
        width, height: image size, pixels.
        K: `[3,3]` intrinsics, pixels.
        R, t: rotation `[3,3]` and translation `[3]` (metres) from world to camera.
        lens: from directions to the image plane to which K applies; by default no distortion.
    """

    id: str
    width: int
    height: int
    K: Float
    R: Float
    t: Float
    lens: Lens = PINHOLE

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, pixels."""
        return self.width, self.height

    @property
    def longest_side(self) -> int:
        """The longer of width and height, pixels."""
        return max(self.width, self.height)

    @property
    def diagonal(self) -> float:
        """The diagonal of the images, pixels."""
        return float(np.hypot(self.width, self.height))

    @property
    def focal(self) -> float:
        """Focal length in pixels: the geometric mean of those of the two axes."""
        return float(np.sqrt(self.K[0, 0] * self.K[1, 1]))

    @property
    def centre(self) -> Float:
        """The optical centre `[3]` in the world, metres."""
        return -self.R.T @ self.t

    @property
    def direction(self) -> Float:
        """The unit viewing direction `[3]` in the world."""
        return self.R[2].copy()

    def scaled(self, scale: float) -> Camera:
        """The same camera with its image resized to `scale` times the size (rounded, at least one pixel).

        K is scaled by the ratio of the rounded sizes, so it is exact for the resized image.
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
        """World points `[...,3]` to camera points `[...,3]`, metres; z is the depth."""
        return points @ self.R.T + self.t

    def to_pixels(self, in_camera: Float) -> Float:
        """Camera points or directions `[...,3]`, any unit, to pixels `[...,2]`. Meaningless behind the camera."""
        u, v = self.lens.project(in_camera[..., 0], in_camera[..., 1], in_camera[..., 2])
        return np.stack([u, v], axis=-1) @ self.K[:2, :2].T + self.K[:2, 2]

    def project(self, points: Float) -> Float:
        """World points `[...,3]`, metres, to pixels `[...,2]`. Meaningless behind the camera."""
        return self.to_pixels(self.to_camera(points))

    def rays(self, pixels: Float) -> Float:
        """Unit directions `[...,3]` in camera coordinates seen at pixels `[...,2]`; nan where the lens shows none."""
        v = (pixels[..., 1] - self.K[1, 2]) / self.K[1, 1]
        u = (pixels[..., 0] - self.K[0, 2] - self.K[0, 1] * v) / self.K[0, 0]
        return self.lens.rays(u, v)


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
