"""OpenSfM's `reconstruction.json`: a list of reconstructions with cameras and shots.

A shot has `rotation` (angle-axis) and `translation`, world to camera with OpenCV's axes. Intrinsics are normalised by
the longer side, and the principal point is counted from the middle of the picture; pixels count from the first centre,
which comes to (width / 2, height / 2) from the corner. The unit is a metre where there was GPS, else arbitrary.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import named_pictures
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_json
from headfit.types import Float

#: Models that are OpenCV's, with the order of the coefficients; "perspective" has k1 and k2 only.
LENS = {
    "perspective": ("k1", "k2", "p1", "p2", "k3"),
    "brown": ("k1", "k2", "p1", "p2", "k3"),
    "radial": ("k1", "k2"),
    "simple_radial": ("k1",),
    "fisheye": ("k1", "k2", "k3", "k4"),
    "fisheye_opencv": ("k1", "k2", "k3", "k4"),
}


def recognise(source: Path) -> bool:
    """Whether `source` is a reconstruction of OpenSfM, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the file, or its folder; the largest reconstruction in it is read."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no reconstruction.json of OpenSfM there")
    with damage_named(file, "a reconstruction of OpenSfM"):
        scene = max(read_json(file), key=lambda reconstruction: len(reconstruction["shots"]))
        shots = scene["shots"]
        names, pictures = named_pictures([Path(name) for name in shots], file.parent, options)
        by_name = dict(zip(names, shots.values(), strict=True))
        cameras = []
        for name in content.with_pictures(names, pictures, options):
            shot = by_name[name]
            sensor = scene["cameras"][shot["camera"]]
            size = int(sensor["width"]), int(sensor["height"])
            R = np.asarray(cv2.Rodrigues(entries.numbers(shot["rotation"], 3))[0], dtype=np.float64)
            K, lens = _intrinsics(sensor, size)
            entry = entries.camera(name, size, K, R, entries.numbers(shot["translation"], 3), lens)
            cameras.append(content.fitted(entry, pictures, options))
    options.unscaled()
    return content.content(file.parent.name, cameras, options, pictures=pictures)


def _file(source: Path) -> Path | None:
    for file in [source] if source.is_file() else sorted(source.glob("reconstruction*.json")):
        if file.suffix == ".json":
            start = file.open("rb").read(65536).lstrip()
            if start.startswith(b"[") and b'"cameras"' in start and b'"projection_type"' in start:
                return file
    return None


def _intrinsics(sensor: Mapping[str, Any], size: tuple[int, int]) -> tuple[Float, dict[str, Any]]:
    kind = str(sensor.get("projection_type", "perspective"))
    if kind not in LENS:
        raise HeadfitError(f"the projection type {kind!r} is not supported, only {', '.join(LENS)}")
    longer = max(size)
    fx = float(sensor.get("focal_x") or sensor["focal"]) * longer
    fy = float(sensor.get("focal_y") or sensor["focal"]) * longer
    cx, cy = (float(sensor.get(f"c_{axis}", 0)) * longer for axis in "xy")
    K = entries.matrix_K(fx, fy, size[0] / 2 + cx, size[1] / 2 + cy)
    coefficients = [float(sensor.get(name, 0)) for name in LENS[kind]]
    if "fisheye" in kind:
        return K, {"model": "fisheye", "coefficients": coefficients}
    return K, {"model": "opencv", "coefficients": [*coefficients, 0, 0, 0, 0][:5]}
