"""Small captures written to disk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headfit.capture import CaptureSource, open_capture
from headfit.capture.face_shape import FACE_LANDMARKS

CLASSES = {"0": "background", "1": "skin", "2": "lips", "3": "left_eye", "4": "right_eye", "5": "ignore"}


def look_at(centre: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, t of an upright OpenCV camera (world y is up) at `centre` looking at `target`."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    return R, -R @ centre


def camera_entry(name: str, yaw_degrees: float, width: int = 24, height: int = 32) -> dict[str, Any]:
    """A camera one metre away from the origin, which it looks at."""
    yaw = np.deg2rad(yaw_degrees)
    R, t = look_at(np.array([np.sin(yaw), 0.1, np.cos(yaw)]), np.zeros(3))
    focal = 3.0 * height
    return {
        "id": name,
        "width": width,
        "height": height,
        "K": [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]],
        "R": R.tolist(),
        "t": t.tolist(),
    }


def face_points(camera: dict[str, Any]) -> list[list[float]]:
    """The known landmarks of the typical face as a camera sees them; the others have no confidence."""
    points = np.zeros((68, 3))
    in_camera = np.array(list(FACE_LANDMARKS.values())) / 1000 @ np.array(camera["R"]).T + camera["t"]
    pixels = in_camera @ np.array(camera["K"]).T
    points[list(FACE_LANDMARKS)] = np.c_[pixels[:, :2] / pixels[:, 2:], np.ones(len(pixels))]
    return points.tolist()


@pytest.fixture
def write_capture(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a whole small capture: every camera has images, masks and landmarks.

    Red encodes the frame and green the camera, so that a mix-up shows. `change` may edit the
    content of capture.json before it is written. face: the landmarks are those of a face at the origin, and blue is
    bright, instead of points on a line that are the same in each camera.
    """

    def write(
        yaws: tuple[float, ...] = (-40.0, 0.0, 40.0),
        frames: int = 4,
        suffix: str = ".png",
        change: Callable[[dict[str, Any]], None] | None = None,
        face: bool = False,
    ) -> Path:
        root = tmp_path / "capture"
        content: dict[str, Any] = {
            "name": "small",
            "fps": 25,
            "units": "m",
            "cameras": [camera_entry(f"cam{index}", yaw) for index, yaw in enumerate(yaws)],
            "frames": [f"{frame:04d}" for frame in range(frames)],
            "classes": dict(CLASSES),
        }
        if change is not None:
            change(content)
        for index, camera in enumerate(content["cameras"]):
            size = camera.get("height", 32), camera.get("width", 24)
            for number, frame in enumerate(content["frames"]):
                image = np.zeros((*size, 3), np.uint8)
                image[..., 0], image[..., 1] = 7 * number, 20 * index
                mask = np.zeros(size, np.uint8)
                mask[4:28, 4:20] = 1
                if face:
                    image[..., 2] = 90
                points = (
                    face_points(camera)
                    if face
                    else [[2.0 + 0.25 * point, 3.0 + 0.125 * point, 1] for point in range(68)]
                )
                for kind in ("images", "masks", "landmarks"):
                    (root / kind / camera["id"]).mkdir(parents=True, exist_ok=True)
                bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(root / "images" / camera["id"] / f"{frame}{suffix}"), bgr)
                cv2.imwrite(str(root / "masks" / camera["id"] / f"{frame}.png"), mask)
                (root / "landmarks" / camera["id"] / f"{frame}.json").write_text(json.dumps(points))
        (root / "capture.json").write_text(json.dumps(content))
        return root

    return write


@pytest.fixture
def point(write_capture: Callable[..., Path]) -> Callable[..., CaptureSource]:
    """A function that opens a capture with two cameras and no files after changes of its capture.json; a change of
    `camera` is one of the second camera's."""

    def change(camera: dict[str, Any] | None = None, **top: Any) -> CaptureSource:
        root = write_capture(yaws=(0.0, 30.0), frames=1)
        content = json.loads((root / "capture.json").read_text()) | top
        content["cameras"][1] |= camera or {}
        (root / "capture.json").write_text(json.dumps(content))
        return open_capture(root)

    return change
