"""The native capture: a folder with capture.json, images or videos, masks and landmarks, read on demand.

data/README.md describes the layout.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headfit.capture.decode import DamagedFile, read_image, read_label_image
from headfit.capture.landmark_files import read_landmarks, write_landmarks
from headfit.capture.manifest import Manifest, read_manifest
from headfit.capture.source import CaptureSource
from headfit.capture.true_meshes import TrueMeshes, read_true_meshes
from headfit.capture.video import Video
from headfit.errors import some_of
from headfit.types import Float

#: In the order in which they are looked for. A mask may be found in a lossy format: it is then named, not passed over.
IMAGE_SUFFIXES = tuple(
    suffix for lower in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp") for suffix in (lower, lower.upper())
)


def open_capture(path: Path | str) -> CaptureSource:
    """The capture in the folder `path`. Only capture.json is read. Raises HeadfitError when it cannot be used."""
    path = Path(path)
    return NativeCapture(path, read_manifest(path))


class NativeCapture(CaptureSource):
    """A capture whose files are in one folder, named by camera and frame."""

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.location = str(path)
        self.name = manifest.name
        self.cameras = manifest.cameras
        self.frames = manifest.frames
        self.fps = manifest.fps
        self.label_names = manifest.label_names
        self.metres_per_unit = manifest.metres_per_unit
        self._known_value = np.isin(np.arange(256), list(manifest.label_names))
        self._videos: dict[int, Video] = {}

    def image(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        path = self._image_path(camera, frame)
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
        path = self._mask_path(camera, frame)
        if not path.is_file():
            return None
        mask = read_label_image(path)
        self._check_size(path, mask, camera)
        unknown = np.flatnonzero((np.bincount(mask.ravel(), minlength=256) > 0) & ~self._known_value)
        if unknown.size:
            raise DamagedFile(path, f"holds class values that capture.json does not name: {unknown.tolist()}")
        return mask

    def landmarks(self, camera: int, frame: int) -> Float | None:
        path = self._landmark_path(camera, frame)
        return read_landmarks(path) if path.is_file() else None

    def has_image(self, camera: int, frame: int) -> bool:
        return self._image_path(camera, frame) is not None

    def has_mask(self, camera: int, frame: int) -> bool:
        return self._mask_path(camera, frame).is_file()

    def has_landmarks(self, camera: int, frame: int) -> bool:
        return self._landmark_path(camera, frame).is_file()

    def expected_images(self, camera: int) -> str:
        name = self.cameras[camera].id
        return f"images/{name}/<frame>.jpg or .png, or videos/{name}.mp4"

    def save_landmarks(self, camera: int, frame: int, landmarks: Float) -> None:
        write_landmarks(self._landmark_path(camera, frame), landmarks)

    def ground_truth(self) -> TrueMeshes | None:
        return read_true_meshes(self.path / "gt", self.metres_per_unit)

    def unreferenced_files(self) -> list[str]:
        warnings = []
        cameras, frames = {camera.id for camera in self.cameras}, set(self.frames)
        for kind, suffixes in (("images", IMAGE_SUFFIXES), ("masks", IMAGE_SUFFIXES), ("landmarks", (".json",))):
            folders = sorted(path for path in (self.path / kind).glob("*") if path.is_dir())
            unknown = [folder.name for folder in folders if folder.name not in cameras]
            if unknown:
                warnings.append(f"{self.path / kind}: no camera in capture.json is called {some_of(unknown)}")
            for folder in folders:
                files = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
                unlisted = [path.stem for path in files if path.stem not in frames]
                if folder.name in cameras and unlisted:
                    warnings.append(f"{folder}: frames that capture.json does not list: {some_of(unlisted)}")
        return warnings

    def _image_path(self, camera: int, frame: int) -> Path | None:
        """The file that holds an image (the whole video for a video camera), or None when there is none."""
        folder = self.path / "images" / self.cameras[camera].id
        for suffix in IMAGE_SUFFIXES:
            if (path := folder / (self.frames[frame] + suffix)).is_file():
                return path
        video = self.path / "videos" / f"{self.cameras[camera].id}.mp4"
        return video if not folder.is_dir() and video.is_file() else None

    def _mask_path(self, camera: int, frame: int) -> Path:
        """The file that holds a mask; the PNG that would be where there is none."""
        folder = self.path / "masks" / self.cameras[camera].id
        paths = [folder / (self.frames[frame] + suffix) for suffix in IMAGE_SUFFIXES]
        return next((path for path in paths if path.is_file()), paths[0])

    def _landmark_path(self, camera: int, frame: int) -> Path:
        return self.path / "landmarks" / self.cameras[camera].id / f"{self.frames[frame]}.json"

    def _check_size(self, path: Path, pixels: NDArray[np.uint8], camera: int) -> None:
        height, width = pixels.shape[:2]
        expected = self.cameras[camera]
        if (width, height) != expected.size:
            raise DamagedFile(
                path,
                f"is {width}x{height}, but capture.json says {expected.width}x{expected.height} "
                f"for camera {expected.id}",
            )
