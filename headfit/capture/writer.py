"""Writing a native capture; data/README.md describes the layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from headfit.capture.camera import Camera
from headfit.capture.landmark_files import write_landmarks
from headfit.capture.manifest import camera_entry
from headfit.errors import HeadfitError
from headfit.files import failures_named, make_folder, write_atomically
from headfit.types import Float


class CaptureWriter:
    """Writes a capture view by view, and capture.json at the end of a `with` block that raises nothing:

        with CaptureWriter(path, cameras, frames, fps=25, labels={0: "background", 1: "skin"}) as writer:
            writer.image(0, 0, rgb)

    So a folder with a capture.json is a whole capture.

    Args:
        path: the folder, which is made; its name becomes the capture's.
        cameras: the cameras, in metres.
        frames: frame names in time order, used as file names.
        fps: frames per second.
        labels: label name of each mask value.
        jpeg_quality: quality (1 to 95) of JPEG images; None: PNG.

    Raises:
        HeadfitError: the folder already holds a capture, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        cameras: Sequence[Camera],
        frames: Sequence[str],
        fps: float,
        labels: Mapping[int, str],
        jpeg_quality: int | None = None,
    ) -> None:
        if (path / "capture.json").exists():
            raise HeadfitError(f"{path}: already holds a capture; delete it or choose another folder")
        self.path = path
        self.cameras = list(cameras)
        self.frames = list(frames)
        self.fps = fps
        self.labels = dict(labels)
        self.jpeg_quality = jpeg_quality

    def image(self, camera: int, frame: int, rgb: NDArray[np.uint8]) -> Path:
        """Write an image `[H,W,3]` of a camera and frame (indices). Returns the file."""
        if self.jpeg_quality is None:
            return self._save(self._file("images", camera, frame, ".png"), camera, rgb)
        return self._save(self._file("images", camera, frame, ".jpg"), camera, rgb, quality=self.jpeg_quality)

    def mask(self, camera: int, frame: int, labels: NDArray[np.uint8]) -> Path:
        """Write a mask `[H,W]` of label values. Returns the file."""
        return self._save(self._file("masks", camera, frame, ".png"), camera, labels)

    def landmarks(self, camera: int, frame: int, landmarks: Float) -> Path:
        """Write 68 iBUG landmarks `[68,3]`: x, y in pixels and a confidence in [0, 1]. Returns the file."""
        path = self._file("landmarks", camera, frame, ".json")
        write_landmarks(path, landmarks)
        return path

    def topology(self, **arrays: ArrayLike) -> None:
        """Write what the true meshes share: `faces [F,3]`, `face_parts [F]`, `part_names` and any other arrays."""
        self._save_arrays("topology", arrays)

    def ground_truth(self, frame: int, vertices: ArrayLike, **arrays: ArrayLike) -> None:
        """Write the true mesh of a frame: world vertices `[V,3]` in metres, and any other arrays."""
        self._save_arrays(self.frames[frame], {"vertices": np.asarray(vertices, dtype=np.float32), **arrays})

    def __enter__(self) -> CaptureWriter:
        make_folder(self.path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        manifest = {
            "name": self.path.name,
            "fps": self.fps,
            "units": "m",
            "cameras": [camera_entry(camera) for camera in self.cameras],
            "frames": self.frames,
            "classes": self.labels,
        }
        write_atomically(self.path / "capture.json", json.dumps(manifest, indent=1))

    def _file(self, kind: str, camera: int, frame: int, suffix: str) -> Path:
        folder = self.path / kind / self.cameras[camera].id
        make_folder(folder)
        return folder / (self.frames[frame] + suffix)

    def _save(self, path: Path, camera: int, pixels: NDArray[np.uint8], **options: Any) -> Path:
        if pixels.dtype != np.uint8 or pixels.shape[1::-1] != self.cameras[camera].size:
            width, height = self.cameras[camera].size
            raise ValueError(f"{path}: expected uint8 [{height},{width}], got {pixels.dtype} {list(pixels.shape)}")
        with failures_named(path):
            Image.fromarray(pixels).save(path, **options)
        return path

    def _save_arrays(self, name: str, arrays: Mapping[str, ArrayLike]) -> None:
        make_folder(self.path / "gt")
        path = self.path / "gt" / f"{name}.npz"
        plain: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
        with failures_named(path):
            np.savez_compressed(path, **plain)
