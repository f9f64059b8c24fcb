"""Dense landmarks of every view of a capture: detecting, storing and collecting them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.decode import DamagedFile
from headfit.capture.landmark_files import read_dense_landmarks, write_dense_landmarks
from headfit.capture.landmarks import DetectionSummary
from headfit.capture.source import CaptureSource, read_or_none
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
    summary = DetectionSummary()
    views = [(camera, frame) for camera in range(len(capture.cameras)) for frame in range(len(capture.frames))]
    for camera, frame in tqdm(views, unit="view", desc="dense landmarks", leave=False):
        path = dense_file(capture, root, camera, frame)
        if path.is_file() and not overwrite:
            summary.kept += 1
            continue
        image = read_or_none(capture.image, camera, frame, on_damage=lambda damage: tqdm.write(str(damage)))
        if image is None:
            summary.without_image += 1
            continue
        found = detector(image)
        if found is None:
            summary.without_face += 1
            continue
        write_dense_landmarks(path, np.column_stack([found.points, found.scatter]))
        summary.written += 1
    return summary


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
