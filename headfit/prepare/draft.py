"""A capture whose cameras may not be known yet, and writing what was found into its capture.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.decode import DamagedFile, read_image
from headfit.capture.layouts.pictures import natural_order
from headfit.capture.manifest import camera_entry, parse_manifest
from headfit.capture.native import NativeCapture
from headfit.capture.pattern import IMAGE_SUFFIXES
from headfit.errors import HeadfitError
from headfit.files import damage_named, errors_in, failures_named, read_json, write_atomically

#: What a calibration gives, in a camera's entry of capture.json.
CALIBRATION = ("K", "R", "t")
#: Frames per second of a folder of pictures without a capture.json.
ASSUMED_FPS = 25.0


class Draft:
    """A capture that is being prepared.

    Attributes:
        path: its folder.
        content: the content of its capture.json, as far as it is known.
        calibrated: whether every camera has K, R and t there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "capture.json"
        with failures_named(self.file):
            self.content: dict[str, Any] = read_json(self.file) if self.file.is_file() else _from_folders(path)
        if not isinstance(self.content, dict) or not isinstance(self.content.get("cameras"), list):
            raise HeadfitError(f"{self.file}: expected an object with 'cameras', a list, and 'frames'")
        self.content.setdefault("fps", ASSUMED_FPS)
        self.content.setdefault("units", "m")
        for entry in self._entries():
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                raise HeadfitError(f"{self.file}: cameras: each must be an object with an 'id', the camera's name")
            if not {"width", "height"} <= set(entry):
                entry["width"], entry["height"] = _size_of_pictures(path, entry["id"])
        self.calibrated = all(set(CALIBRATION) <= set(entry) for entry in self._entries())

    def open(self) -> NativeCapture:
        """The capture, with cameras of an arbitrary focal length and pose where none is known."""
        content = self.content | {"cameras": [_assumed(entry) | entry for entry in self._entries()]}
        with damage_named(self.file, "a capture"), errors_in(self.file):
            return NativeCapture(self.path, parse_manifest(content, self.path))

    def set_cameras(self, cameras: Sequence[Camera | None]) -> None:
        """Replace the calibration; a camera that is None is left out, and so are old lens coefficients."""
        kept = []
        for entry, camera in zip(self._entries(), cameras, strict=True):
            if camera is not None:
                unit = {name: entry[name] for name in entry if name not in ("dist", "lens")}
                kept.append(unit | camera_entry(camera))
        self.content |= {"cameras": kept, "units": "m"}

    def point(self, what: str, pointer: dict[str, Any]) -> None:
        """Set where masks or landmarks are, for all cameras."""
        for entry in self._entries():
            entry.pop(what, None)
        self.content[what] = pointer

    def write(self) -> Path | None:
        """Write capture.json; an old one is kept under a free name, which is returned."""
        kept = None
        if self.file.is_file():
            number = next(n for n in range(1, 10000) if not self._before(n).exists())
            kept = self._before(number)
            with failures_named(kept):
                kept.write_bytes(self.file.read_bytes())
        write_atomically(self.file, json.dumps(self.content, indent=1))
        return kept

    def _before(self, number: int) -> Path:
        return self.path / f"capture.before-prepare-{number}.json"

    def _entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.content["cameras"]
        return entries


def _from_folders(path: Path) -> dict[str, Any]:
    """The content of a capture.json for `images/<camera>/<frame>.*`."""
    folders = sorted(folder for folder in (path / "images").glob("*") if folder.is_dir())
    pictures = (file for folder in folders for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    frames = sorted({file.stem for file in pictures if not file.name.startswith(".")}, key=natural_order)
    if not frames:
        raise HeadfitError(f"{path}: neither a capture.json nor pictures images/<camera>/<frame>.jpg are there")
    return {"name": path.resolve().name, "frames": frames, "cameras": [{"id": folder.name} for folder in folders]}


def _size_of_pictures(path: Path, camera: str) -> tuple[int, int]:
    for file in sorted((path / "images" / camera).glob("*")):
        try:
            height, width = read_image(file).shape[:2]
        except DamagedFile:
            continue
        return width, height
    raise HeadfitError(
        f"{path / 'capture.json'}: camera {camera} has no 'width' and 'height', and no picture tells them"
    )


def _assumed(entry: dict[str, Any]) -> dict[str, Any]:
    width, height = entry["width"], entry["height"]
    focal = float(max(width, height))
    K = [[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]
    return {"K": K, "R": np.eye(3).tolist(), "t": [0.0, 0.0, 1.0]}
