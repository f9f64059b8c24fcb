"""Dense landmarks of every view of a capture: detecting, storing and collecting them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.decode import DamagedFile
from headfit.capture.landmark_files import read_dense_landmarks, write_dense_landmarks
from headfit.capture.landmarks import DetectionSummary, detect_in_views
from headfit.capture.source import CaptureSource
from headfit.prepare.face_mesh import DenseLandmarks
from headfit.types import Float

#: From an RGB image to the landmarks of its face, None without one.
DenseDetector = Callable[[NDArray[np.uint8]], DenseLandmarks | None]


FOLDER = "landmarks478"
#: The stored landmarks as 'landmarks' in capture.json.
POINTER = {"path": "landmarks478/{camera}/{frame}.json", "scheme": "mediapipe478"}


def dense_file(capture: CaptureSource, root: Path, camera: int, frame: int) -> Path:
    """Where the dense landmarks of a view are kept."""
    return root / FOLDER / capture.cameras[camera].id / f"{capture.frames[frame]}.json"


def detect_dense(
    capture: CaptureSource, root: Path, detector: DenseDetector, overwrite: bool = False
) -> DetectionSummary:
    """Detect dense landmarks in every view, store them, and count what was done.

    Args:
        capture: where the images are.
        root: the folder in which the landmarks are stored, see `dense_file`.
        detector: finds them.
        overwrite: also process views that have dense landmarks.
    """

    def is_there(camera: int, frame: int) -> bool:
        return not overwrite and dense_file(capture, root, camera, frame).is_file()

    def store(camera: int, frame: int, found: DenseLandmarks) -> None:
        points = np.column_stack([found.points, found.scatter])
        write_dense_landmarks(dense_file(capture, root, camera, frame), points)

    return detect_in_views(capture, "dense landmarks", detector, is_there, store)


def collect_dense(capture: CaptureSource, root: Path) -> Float:
    """The dense landmarks `[V,F,478,4]` (x, y, z and scatter in pixels) of all views; nan where there are none."""
    found = np.full((len(capture.cameras), len(capture.frames), 478, 4), np.nan)
    for camera in range(len(capture.cameras)):
        for frame in range(len(capture.frames)):
            path = dense_file(capture, root, camera, frame)
            try:
                values = read_dense_landmarks(path) if path.is_file() else None
            except DamagedFile as damage:
                tqdm.write(str(damage))
                continue
            if values is not None:
                found[camera, frame] = values
    return found
