"""The native capture: a folder with capture.json, images or videos, masks and landmarks, read lazily.

The layout is described in data/README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera
from headfit.capture.decode import DamagedFile, read_image, read_label_image
from headfit.capture.manifest import Manifest, read_manifest
from headfit.capture.video import Video
from headfit.errors import HeadfitError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
LANDMARKS = 68


class Capture:
    """A calibrated multi-view recording. Cameras and frames are addressed by index.

    cameras: list of Camera, positions in metres. frames: frame names in time order. fps: frames a second.
    label_names: mask value to native label name, empty when the capture has no masks.
    metres_per_unit: one unit of the folder's own coordinates (those of gt/); `cameras` are converted already.
    """

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.name = manifest.name
        self.cameras: list[Camera] = manifest.cameras
        self.frames: list[str] = manifest.frames
        self.fps = manifest.fps
        self.label_names: dict[int, str] = manifest.label_names
        self.metres_per_unit = manifest.metres_per_unit
        self._known_value = np.isin(np.arange(256), list(manifest.label_names))
        self._videos: dict[int, Video] = {}

    @classmethod
    def open(cls, path: Path | str) -> Capture:
        """Read and validate capture.json; nothing else is touched. Raises HeadfitError."""
        path = Path(path)
        return cls(path, read_manifest(path))

    def camera_index(self, camera_id: str) -> int:
        """The index of a camera. Raises HeadfitError listing the cameras when there is none of that id."""
        for index, camera in enumerate(self.cameras):
            if camera.id == camera_id:
                return index
        known = ", ".join(camera.id for camera in self.cameras)
        raise HeadfitError(f"{self.path}: no camera {camera_id!r} in this capture. Its cameras: {known}.")

    def image_path(self, camera: int, frame: int) -> Path | None:
        """The file that holds an image (the whole video for a video camera), or None when there is none."""
        folder = self.path / "images" / self.cameras[camera].id
        for suffix in IMAGE_SUFFIXES:
            if (path := folder / (self.frames[frame] + suffix)).is_file():
                return path
        video = self.path / "videos" / f"{self.cameras[camera].id}.mp4"
        return video if not folder.is_dir() and video.is_file() else None

    def mask_path(self, camera: int, frame: int) -> Path:
        return self.path / "masks" / self.cameras[camera].id / f"{self.frames[frame]}.png"

    def landmarks_path(self, camera: int, frame: int) -> Path:
        return self.path / "landmarks" / self.cameras[camera].id / f"{self.frames[frame]}.json"

    def image(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """RGB [H,W,3] uint8 at the camera's size, or None when there is no such file. Raises DamagedFile."""
        path = self.image_path(camera, frame)
        if path is None:
            return None
        if path.suffix == ".mp4":
            if camera not in self._videos:
                self._videos[camera] = Video(path)
            image = self._videos[camera].frame(frame)
        else:
            image = read_image(path)
        self._check_size(path, image, camera)
        return image

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """Class values [H,W] uint8 (see `label_names`), or None when there is no mask. Raises DamagedFile."""
        path = self.mask_path(camera, frame)
        if not path.is_file():
            return None
        mask = read_label_image(path)
        self._check_size(path, mask, camera)
        unknown = np.flatnonzero((np.bincount(mask.ravel(), minlength=256) > 0) & ~self._known_value)
        if unknown.size:
            raise DamagedFile(path, f"holds class values that capture.json does not name: {unknown.tolist()}")
        return mask

    def landmarks(self, camera: int, frame: int) -> NDArray[np.float64] | None:
        """68 iBUG points [68,3]: x, y in pixels and a confidence in [0, 1], 0 where missing or invisible.
        None when there is no file. Raises DamagedFile."""
        path = self.landmarks_path(camera, frame)
        return read_landmarks(path) if path.is_file() else None

    def _check_size(self, path: Path, pixels: NDArray[np.uint8], camera: int) -> None:
        height, width = pixels.shape[:2]
        expected = self.cameras[camera]
        if (width, height) != (expected.width, expected.height):
            raise DamagedFile(
                path,
                f"is {width}x{height}, but capture.json says {expected.width}x{expected.height} "
                f"for camera {expected.id}",
            )


def read_landmarks(path: Path) -> NDArray[np.float64]:
    """Landmarks [68,3] (x, y, confidence) from either form of the file:

        [[x, y, visible], ...]                                           visible: 0/1 or a confidence
        {"scheme": "ibug68", "points": [[x, y], ...], "visible": [...]}   visible may be left out

    Raises DamagedFile.
    """
    try:
        content: Any = json.loads(path.read_text())
        if isinstance(content, dict):
            if content.get("scheme", "ibug68") != "ibug68":
                raise DamagedFile(path, f"landmark scheme {content['scheme']!r}: only 'ibug68' can be read")
            points = _as_floats(content["points"])
            visible = _as_floats(content.get("visible", [1] * len(points)))
            landmarks = np.column_stack([points, visible])
        else:
            landmarks = _as_floats(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedFile(path, f"not a landmark file ({type(error).__name__}: {error})") from error
    if landmarks.shape != (LANDMARKS, 3):
        raise DamagedFile(path, f"expected {LANDMARKS} points with x, y, visible; found {landmarks.shape}")
    landmarks[~np.isfinite(landmarks).all(axis=1)] = 0
    landmarks[:, 2] = landmarks[:, 2].clip(0, 1)
    return landmarks


def _as_floats(rows: Any) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64)  # null becomes nan
