"""The native capture: a folder with capture.json, which says where images or videos, masks and landmarks are.

data/README.md describes the layout. Everything is read on demand.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.decode import DamagedFile, Tones, decode_alpha, decode_image, decode_label_image, developed
from headfit.capture.image_bytes import EXIF_TURNS, exif_orientation
from headfit.capture.landmark_files import read_dense_landmarks, read_landmarks, write_landmarks
from headfit.capture.manifest import Manifest, read_manifest
from headfit.capture.mask_labels import NATIVE_VALUES, Labels, first_that_knows, native_labels
from headfit.capture.pattern import IMAGE_SUFFIXES, Numbering, Place
from headfit.capture.pointers import USUAL, Files, MaskFiles
from headfit.capture.selection import ALL, Selection
from headfit.capture.source import CaptureSource
from headfit.capture.storage import Storage
from headfit.capture.true_meshes import TrueMeshes, read_true_meshes
from headfit.errors import HeadfitError, some_of
from headfit.files import errors_in
from headfit.types import Float

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def open_capture(path: Path | str, selection: Selection = ALL) -> CaptureSource:
    """The capture in the folder `path`. Only capture.json is read.

    Args:
        path: the folder.
        selection: which of its frames and cameras are used.

    Raises:
        HeadfitError: it cannot be used, or has no such frames or cameras.
    """
    path = Path(path)
    manifest = read_manifest(path)
    with errors_in(path):
        return NativeCapture(path, manifest, selection)


class NativeCapture(CaptureSource):
    """A capture whose files are where its capture.json says, by camera and frame."""

    def __init__(self, path: Path, manifest: Manifest, selection: Selection = ALL):
        self.path = path
        self.location = str(path)
        self.name = manifest.name
        self._manifest = manifest
        self._positions = selection.frame_indices(manifest.frames)
        cameras = selection.camera_indices([camera.id for camera in manifest.cameras])
        self._pointers = [manifest.pointers[index] for index in cameras]
        self.cameras = [manifest.cameras[index] for index in cameras]
        self.frames = [manifest.frames[position] for position in self._positions]
        self.fps = manifest.fps
        self.metres_per_unit = manifest.metres_per_unit
        self._storage = Storage()
        self._numbered = Numbering.of(manifest.frames).numbered
        self._native_masks = any(len(each.masks) > 1 or each.masks[0].labels for each in self._pointers)
        self.label_names = self._named_labels() if self._native_masks else manifest.label_names
        self.has_dense_landmarks = any(each.landmarks.scheme == "mediapipe478" for each in self._pointers)
        self.rough_masks = any(files.rough for each in self._pointers for files in each.masks)
        self._known_value = np.isin(np.arange(256), list(manifest.label_names))

    def image(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        return self.image_reduced(camera, frame, 1)

    def image_reduced(self, camera: int, frame: int, reduction: int) -> NDArray[np.uint8] | None:
        files = self._pointers[camera].images
        place = self._find(files, camera, frame)
        if place is None:
            return None
        tones, turn = Tones(files.white_level, files.color), self._pointers[camera].rotate
        if turn and any(side % reduction for side in self.cameras[camera].size):
            reduction = 1  # the pixel that is not whole would be the first one after turning
        if place.picture is not None:
            image = developed(self._storage.video(place.path).frame(place.picture), 255, tones)
        else:
            image = decode_image(self._storage.read(place), str(place), tones, reduction)
        return self._upright(place, image, camera, turn, reduction)

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        sources = self._pointers[camera].masks
        places = [(files, self._find(files, camera, frame)) for files in sources]
        masks = [self._mask(files, place, camera) for files, place in places if place is not None]
        if not masks:
            return None
        return first_that_knows(masks) if self._native_masks else masks[0]

    def landmarks(self, camera: int, frame: int) -> Float | None:
        place = self._landmark_place(camera, frame)
        return None if place is None else read_landmarks(place.path)

    def dense_landmarks(self, camera: int, frame: int) -> Float | None:
        place = self._landmark_place(camera, frame)
        return None if place is None else read_dense_landmarks(place.path)

    def has_image(self, camera: int, frame: int) -> bool:
        return self._find(self._pointers[camera].images, camera, frame) is not None

    def has_mask(self, camera: int, frame: int) -> bool:
        return any(self._find(files, camera, frame) is not None for files in self._pointers[camera].masks)

    def has_landmarks(self, camera: int, frame: int) -> bool:
        return self._landmark_place(camera, frame) is not None

    def expected_images(self, camera: int) -> str:
        name, pattern = self.cameras[camera].id, self._pointers[camera].images.pattern
        if str(pattern) == USUAL["images"]:
            return f"images/{name}/<frame>.jpg or .png, or videos/{name}.mp4"
        return str(pattern).replace("{camera}", name)

    def save_landmarks(self, camera: int, frame: int, landmarks: Float) -> None:
        files = self._pointers[camera].landmarks
        position = self._positions[frame]
        place = files.pattern.place(self.cameras[camera].id, position, self._numbering(files, camera))
        if place is None:
            raise HeadfitError(f"{self.describe(camera, frame)}: the camera has no picture at this time")
        if files.scheme != "ibug68":
            raise HeadfitError(f"{self.location}: capture.json says that the landmarks are {files.scheme}, not ibug68")
        write_landmarks(place.path, landmarks)

    def ground_truth(self) -> TrueMeshes | None:
        return read_true_meshes(self.path / "gt", self.metres_per_unit)

    def unreferenced_files(self) -> list[str]:
        warnings = []
        cameras, frames = {camera.id for camera in self._manifest.cameras}, set(self._manifest.frames)
        suffixes = {suffix for lower in IMAGE_SUFFIXES for suffix in (lower, lower.upper())}
        patterns = {
            str(files.pattern) for each in self._pointers for files in (each.images, *each.masks, each.landmarks)
        }
        for kind, known in (("images", suffixes), ("masks", suffixes), ("landmarks", {".json"})):
            if USUAL[kind] not in patterns:
                continue
            folders = sorted(path for path in (self.path / kind).glob("*") if path.is_dir())
            unknown = [folder.name for folder in folders if folder.name not in cameras]
            if unknown:
                warnings.append(f"{self.path / kind}: no camera in capture.json is called {some_of(unknown)}")
            for folder in folders:
                files = sorted(path for path in folder.iterdir() if path.suffix in known)
                unlisted = [path.stem for path in files if path.stem not in frames]
                if folder.name in cameras and unlisted:
                    warnings.append(f"{folder}: frames that capture.json does not list: {some_of(unlisted)}")
        return warnings

    def stored_turn(self, camera: int) -> int | None:
        pointers = self._pointers[camera]
        if pointers.rotate is not None:
            return None
        places = (self._find(pointers.images, camera, frame) for frame in range(len(self.frames)))
        place = next((place for place in places if place is not None), None)
        if place is None:
            return None
        try:
            if place.picture is not None:
                return self._storage.video(place.path).turn()
            return EXIF_TURNS.get(exif_orientation(self._storage.read(place)), 0)
        except DamagedFile:
            return None  # reported where the picture is read

    def _find(self, files: Files, camera: int, frame: int) -> Place | None:
        id, position = self.cameras[camera].id, self._positions[frame]
        return self._storage.find(files.pattern, id, position, self._numbering(files, camera))

    def _numbering(self, files: Files, camera: int) -> Numbering:
        """How the pictures of a camera are counted in these files: a late camera by whole pictures."""
        offset = files.offset + round(self._pointers[camera].offset)
        return Numbering(self._manifest.frames, self._numbered and not files.by_index, offset, files.step)

    def _landmark_place(self, camera: int, frame: int) -> Place | None:
        return self._find(self._pointers[camera].landmarks, camera, frame)

    def _mask(self, files: MaskFiles, place: Place, camera: int) -> NDArray[np.uint8]:
        """A mask as it is stored, or as `NATIVE_VALUES` where some mask of the capture is."""
        labels = files.labels or Labels(self._manifest.label_names, {})
        if labels.matte:
            stored = self._matte(place)
        else:
            stored = decode_label_image(self._storage.read(place), str(place), 3 if labels.by_color else 1)
        turn = self._pointers[camera].rotate if files.rotate is None else files.rotate
        stored = self._upright(place, stored, camera, turn)
        if not self._native_masks:
            unnamed = np.flatnonzero((np.bincount(stored.ravel(), minlength=256) > 0) & ~self._known_value).tolist()
            mask = stored
        else:
            mask, unnamed = native_labels(stored, labels)
        if unnamed:
            raise DamagedFile(str(place), f"holds class values that capture.json does not name: {unnamed}")
        return mask

    def _matte(self, place: Place) -> NDArray[np.uint8]:
        """The share of the foreground `[H,W]`: of a cut-out its alpha, of another color picture the first channel."""
        if place.picture is not None:
            return self._storage.video(place.path).frame(place.picture)[..., 0]
        data = self._storage.read(place)
        alpha = decode_alpha(data, str(place))
        return decode_image(data, str(place))[..., 0] if alpha is None else alpha

    def _upright(
        self, place: Place, pixels: NDArray[np.uint8], camera: int, turn: int | None, reduction: int = 1
    ) -> NDArray[np.uint8]:
        """The pixels turned clockwise. Raises DamagedFile where they are then not of the camera's size, nor that part
        of it."""
        if turn:
            pixels = np.asarray(cv2.rotate(pixels, _ROTATIONS[turn]), dtype=np.uint8)
        height, width = pixels.shape[:2]
        expected = self.cameras[camera]
        reduced = tuple(-(-side // reduction) for side in expected.size)
        if (width, height) not in (expected.size, reduced):
            turned = f" after turning it by {turn} degrees" if turn else ""
            raise DamagedFile(
                str(place),
                f"is {width}x{height}{turned}, but capture.json says {expected.width}x{expected.height} "
                f"for camera {expected.id}",
            )
        return pixels

    def _named_labels(self) -> dict[int, str]:
        """Native label of each value that a mask can have."""
        names = {"unknown"}
        for files in (files for pointers in self._pointers for files in pointers.masks):
            labels = files.labels or Labels(self._manifest.label_names, {})
            names |= {"background"} if labels.matte else {*labels.by_value.values(), *labels.by_color.values()}
        return {value: name for name, value in NATIVE_VALUES.items() if name in names}
