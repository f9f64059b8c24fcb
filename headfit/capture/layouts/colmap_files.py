"""The files of a sparse model of COLMAP, text or binary: cameras, images, and from version 3.12 on rigs and frames.

Sources: COLMAP's doc/format.rst and src/colmap/scene/reconstruction_io_{text,binary}.cc. Binary files are
little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headfit.capture.layouts.entries import from_quaternion
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_text
from headfit.types import Float

#: Camera models: COLMAP's number of each is its place, and the value the number of its parameters.
MODELS = {
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 5,
    "OPENCV": 8,
    "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
    "RAD_TAN_THIN_PRISM_FISHEYE": 16,
    "SIMPLE_DIVISION": 4,
    "DIVISION": 5,
}
Pose = tuple[Float, Float]


@dataclass(frozen=True)
class Sensor:
    """Intrinsics: COLMAP's camera."""

    model: str
    width: int
    height: int
    params: list[float]


@dataclass(frozen=True)
class Picture:
    """A registered image: its pose from world to camera, its sensor and its name."""

    pose: Pose
    sensor: int
    name: str


@dataclass
class Model:
    """A sparse model. rigs: by id the pose of each sensor in the rig, None where it is unknown. frames: by id the rig,
    its pose from the world, and the ids of its images."""

    sensors: dict[int, Sensor]
    images: dict[int, Picture]
    rigs: dict[int, dict[int, Pose | None]]
    frames: dict[int, tuple[int, Pose, list[int]]]


def read_model(folder: Path) -> Model:
    """The model in a folder; like COLMAP, the binary files where there are both kinds."""
    binary = (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file()
    suffix = ".bin" if binary else ".txt"

    def parsed(name: str) -> dict[int, object]:
        path = folder / (name + suffix)
        if not path.is_file():
            return {}
        with damage_named(path, f"COLMAP's {name}"):
            if binary:
                return dict(_BINARY[name](_Bytes(path.read_bytes())))
            return dict(_TEXT[name](read_text(path, replace_invalid=True).splitlines()))

    sensors, images, rigs, frames = (parsed(name) for name in ("cameras", "images", "rigs", "frames"))
    if not sensors or not images:
        raise HeadfitError(f"{folder}: no cameras{suffix}, or no registered image in images{suffix}")
    return Model(sensors, images, rigs, frames)  # type: ignore[arg-type]


def _pose(values: list[float]) -> Pose:
    return from_quaternion(*values[:4]), np.array(values[4:7])


IDENTITY: Pose = (np.eye(3), np.zeros(3))


def _lines(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield line.split()


def _text_cameras(lines: list[str]) -> Iterator[tuple[int, Sensor]]:
    for name, model, width, height, *params in _lines(lines):
        yield int(name), Sensor(model, int(float(width)), int(float(height)), [float(p) for p in params])


def _text_images(lines: list[str]) -> Iterator[tuple[int, Picture]]:
    """Every other line, which may be empty, is a list of points; names may hold spaces."""
    kept = [line for line in lines if not line.startswith("#")]
    while kept and not kept[0].strip():
        kept.pop(0)
    for line in kept[::2]:
        if line.strip():
            name, *pose, sensor, file = line.strip().split(maxsplit=9)
            yield int(name), Picture(_pose([float(p) for p in pose]), int(sensor), file)


def _text_rigs(lines: list[str]) -> Iterator[tuple[int, dict[int, Pose | None]]]:
    for name, count, *rest in _lines(lines):
        sensors: dict[int, Pose | None] = {int(rest[1]): IDENTITY} if int(count) else {}
        rest = rest[2:]
        while rest:
            kind, sensor, known = rest[:3]
            used = 10 if int(known) else 3
            if kind == "CAMERA":
                sensors[int(sensor)] = _pose([float(p) for p in rest[3:10]]) if int(known) else None
            rest = rest[used:]
        yield int(name), sensors


def _text_frames(lines: list[str]) -> Iterator[tuple[int, tuple[int, Pose, list[int]]]]:
    for name, rig, *rest in _lines(lines):
        data = rest[8:]
        images = [int(image) for kind, image in zip(data[::3], data[2::3], strict=True) if kind == "CAMERA"]
        yield int(name), (int(rig), _pose([float(p) for p in rest[:7]]), images)


class _Bytes:
    """Reads numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> list[float]:
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.data):
            raise ValueError("the file ends too early")
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += size
        return list(values)

    def integer(self, form: str) -> int:
        return int(self.take(form)[0])

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        found = self.data[self.at : end].decode("utf-8", errors="replace")
        self.at = end + 1
        return found


def _binary_cameras(data: _Bytes) -> Iterator[tuple[int, Sensor]]:
    names = list(MODELS)
    for _ in range(data.integer("Q")):
        name, model, width, height = (int(value) for value in data.take("IiQQ"))
        if not 0 <= model < len(names):
            raise ValueError(f"camera {name} has the unknown model number {model}")
        yield name, Sensor(names[model], width, height, data.take(f"{MODELS[names[model]]}d"))


def _binary_images(data: _Bytes) -> Iterator[tuple[int, Picture]]:
    for _ in range(data.integer("Q")):
        name, pose, sensor = data.integer("I"), _pose(data.take("7d")), data.integer("I")
        picture = Picture(pose, sensor, data.text())
        points = data.integer("Q")
        data.at += 24 * points
        if data.at > len(data.data):
            raise ValueError("the file ends within an image")
        yield name, picture


def _binary_rigs(data: _Bytes) -> Iterator[tuple[int, dict[int, Pose | None]]]:
    for _ in range(data.integer("Q")):
        name, count = data.integer("I"), data.integer("I")
        sensors: dict[int, Pose | None] = {}
        for number in range(count):
            kind, sensor = data.integer("i"), data.integer("I")
            known = number == 0 or data.integer("B") != 0
            pose = IDENTITY if number == 0 else _pose(data.take("7d")) if known else None
            if kind == CAMERA:
                sensors[sensor] = pose
        yield name, sensors


def _binary_frames(data: _Bytes) -> Iterator[tuple[int, tuple[int, Pose, list[int]]]]:
    for _ in range(data.integer("Q")):
        name, rig, pose = data.integer("I"), data.integer("I"), _pose(data.take("7d"))
        items = [data.take("iIQ") for _ in range(data.integer("I"))]
        yield name, (rig, pose, [int(image) for kind, _, image in items if kind == CAMERA])


#: COLMAP's number for the kind of sensor (its SensorType; -1 is invalid, 1 an IMU).
CAMERA = 0
_TEXT = {"cameras": _text_cameras, "images": _text_images, "rigs": _text_rigs, "frames": _text_frames}
_BINARY = {"cameras": _binary_cameras, "images": _binary_images, "rigs": _binary_rigs, "frames": _binary_frames}
