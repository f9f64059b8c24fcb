"""The cameras as frusta with their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera
from headfit.types import Float

if TYPE_CHECKING:
    import viser

#: Longest side, pixels, of the pictures in the frusta; height of a frustum, metres.
PICTURE, SIZE = 192, 0.07
GOOD, BAD = (90, 200, 120), (240, 70, 60)


class Frusta:
    """One frustum for each camera.

    Args:
        server: the server.
        cameras: the cameras.
    """

    def __init__(self, server: viser.ViserServer, cameras: Sequence[Camera]) -> None:
        self._parent = server.scene.add_frame("/cameras", show_axes=False)
        self._nodes = [
            server.scene.add_camera_frustum(
                f"/cameras/{index:03d} {camera.id}",
                fov=2 * np.arctan2(camera.height / 2, camera.K[1, 1]),
                aspect=camera.width / camera.height,
                scale=SIZE,
                thickness=0.001,
                color=GOOD,
                wxyz=quaternion(camera.R.T),
                position=camera.centre,
            )
            for index, camera in enumerate(cameras)
        ]

    @property
    def visible(self) -> bool:
        """Whether they are in the scene."""
        return bool(self._parent.visible)

    @visible.setter
    def visible(self, value: bool) -> None:
        self._parent.visible = value

    def mark(self, bad: Sequence[int]) -> None:
        """Draw these cameras in red, by index, and the others in green."""
        for index, node in enumerate(self._nodes):
            node.color = BAD if index in bad else GOOD

    def show_picture(self, camera: int, picture: NDArray[np.uint8] | None) -> None:
        """Put a picture `[H,W,3]` into a camera's frustum; None: leave it empty."""
        self._nodes[camera].image = None if picture is None else thumbnail(picture, PICTURE)


def thumbnail(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """A picture made smaller so that its longer side has at most `longest` pixels."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def quaternion(rotation: Float) -> Float:
    """The unit quaternion `[4]` (w, x, y, z; w >= 0) of a rotation matrix `[3,3]`."""
    # The rows of this symmetric matrix have their largest eigenvalue at the quaternion (Bar-Itzhack, 2000).
    r = rotation
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [0, r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [0, 0, r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [0, 0, 0, r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    _, vectors = np.linalg.eigh(k, UPLO="U")
    q = vectors[:, -1]
    return np.asarray(q if q[0] >= 0 else -q)
