"""A capture in memory: the typical face of `face_shape` before a rig, as landmarks, masks and textured pictures."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.face_shape import FACE_LANDMARKS, FACE_REGIONS
from headfit.capture.source import CaptureSource

#: Mask value, and radius in metres, of each of FACE_REGIONS; drawn head first.
REGION_LABELS = {3: (1, 0.085), 0: (8, 0.012), 1: (9, 0.012), 2: (3, 0.02)}
LABELS = {0: "background", 1: "skin", 3: "lips", 8: "left_eye", 9: "right_eye"}


def ring(count: int = 4, width: int = 96, height: int = 128, spread: float = 60.0) -> list[Camera]:
    """Cameras on an arc, `spread` degrees to each side of a face that looks along +z (y up), pitched in turn."""
    rng = np.random.default_rng(0)
    cameras = []
    for index, yaw in enumerate(np.deg2rad(np.linspace(-spread, spread, count) if count > 1 else [0.0])):
        pitch = np.deg2rad((10.0, -8.0)[index % 2])
        away = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        right = np.cross(-away, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(-away, right), -away])
        focal = 4.0 * width
        cx, cy = np.array([width, height]) * rng.uniform(0.48, 0.52, 2)
        K = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1.0]])
        cameras.append(Camera(f"cam{index:02d}", width, height, K, R, -R @ (1.1 * away)))
    return cameras


class FaceCapture(CaptureSource):
    """The face, which moves 10 mm and turns 6 degrees from frame to frame, as `true` cameras see it.

    cameras: what the capture says its cameras are; tests change it. landmark_change: applied to the landmarks (pixels
    `[68,2]`) of a camera. kinds: what the capture holds, of "images", "masks", "landmarks".
    """

    name = location = "faces"
    fps = 25.0
    metres_per_unit = 1.0

    def __init__(self, kinds: str = "masks landmarks", frames: int = 3, noise: float = 0.0, **rig: float) -> None:
        self.true = ring(**rig)  # type: ignore[arg-type]
        self.cameras = list(self.true)
        self.frames = [f"{frame:04d}" for frame in range(frames)]
        self.kinds = kinds.split()
        self.noise = noise
        self.label_names = LABELS if "masks" in self.kinds else {}
        self.landmark_change: Callable[[np.ndarray, int], np.ndarray] = lambda points, camera: points
        self.late: dict[int, int] = {}

    def given(self, change: Callable[[Camera], Camera], *cameras: int) -> "FaceCapture":
        """The same capture with some (default: all) of its cameras written down wrongly."""
        chosen = cameras or range(len(self.true))
        self.cameras = [change(c) if i in chosen else c for i, c in enumerate(self.true)]
        return self

    def _world(self, points: np.ndarray, frame: int) -> np.ndarray:
        angle = np.deg2rad(6.0 * frame)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        return points / 1000 @ turn.T + [0.01 * frame, 0.03, 0.0]

    def landmarks(self, camera: int, frame: int) -> np.ndarray | None:
        if "landmarks" not in self.kinds:
            return None
        frame = max(0, frame - self.late.get(camera, 0))
        points = np.zeros((68, 3))
        names = list(FACE_LANDMARKS)
        pixels = self.true[camera].project(self._world(np.array(list(FACE_LANDMARKS.values())), frame))
        rng = np.random.default_rng(100 * camera + frame)
        points[names, :2] = self.landmark_change(pixels + rng.normal(0, self.noise or 1e-9, pixels.shape), camera)
        points[names, 2] = 1
        return points

    def mask(self, camera: int, frame: int) -> np.ndarray | None:
        if "masks" not in self.kinds:
            return None
        view = self.true[camera]
        mask = np.zeros((view.height, view.width), np.uint8)
        for region, (value, radius) in REGION_LABELS.items():
            at = self._world(np.array(FACE_REGIONS[region]), frame)
            x, y = view.project(at) - 0.5
            size = radius * view.K[0, 0] / view.to_camera(at)[2]
            cv2.circle(mask, (round(16 * x), round(16 * y)), round(16 * size), value, -1, shift=4)
        return mask

    def image(self, camera: int, frame: int) -> np.ndarray | None:
        """A textured board through the face, turned by 20 degrees."""
        if "images" not in self.kinds:
            return None
        view = self.true[camera]
        rng = np.random.default_rng(1)
        texture = cv2.resize(
            rng.integers(0, 255, (48, 48, 3), dtype=np.uint8), (480, 480), interpolation=cv2.INTER_CUBIC
        )
        corners = np.array([[-90, 90, 30], [90, 90, -30], [90, -90, -10], [-90, -90, 40.0]])
        corners[:, 2] += corners[:, 0] * 0.2
        pixels = view.project(self._world(corners, frame)).astype(np.float32)
        square = np.array([[0, 0], [480, 0], [480, 480], [0, 480]], np.float32)
        return cv2.warpPerspective(texture, cv2.getPerspectiveTransform(square, pixels), view.size)

    def has_image(self, camera: int, frame: int) -> bool:
        return "images" in self.kinds

    def has_mask(self, camera: int, frame: int) -> bool:
        return "masks" in self.kinds

    def has_landmarks(self, camera: int, frame: int) -> bool:
        return "landmarks" in self.kinds

    def expected_images(self, camera: int) -> str:
        return "nowhere"


def posed(camera: Camera, R: np.ndarray, t: np.ndarray) -> Camera:
    """The camera with another pose."""
    return replace(camera, R=R, t=t)
