"""Meshroom's (AliceVision's) `.sfm` or `cameras.json`: views, intrinsics and poses; all numbers are strings.

`pose.transform.rotation` is world to camera by COLUMNS with OpenCV's axes, `center` the camera's centre; the unit is
arbitrary. What the intrinsics mean depends on `version` (sfmDataIO/jsonIO.cpp): the principal point counts from the
middle of the picture from 1.2.1 on and from the corner before; the focal length is in mm from 1.2.2 on, in pixels
before; fy / fx is `pixelRatio` from 1.2.5 on, its inverse before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import named_pictures
from headfit.capture.lenses.convert import convert_lens
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_json
from headfit.types import Float

#: The names that the models have had, by what `convert_lens` calls them.
MODELS = {
    "none": ("none", "pinhole", "pinhole_none", ""),
    "radial1": ("radial1", "radialk1"),
    "radial3": ("radial3", "radialk3"),
    "brown": ("brown",),
    "fisheye1": ("fisheye1",),
    "fisheye4": ("fisheye", "fisheye4"),
}


def recognise(source: Path) -> bool:
    """Whether `source` is such a file, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the file, or a folder with one."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no .sfm file of Meshroom there")
    values = read_json(file)
    with damage_named(file, "Meshroom's scene"):
        version = tuple(int(part) for part in values["version"])
        poses = {entry["poseId"]: entry["pose"]["transform"] for entry in values.get("poses", ())}
        sensors = {entry["intrinsicId"]: entry for entry in values.get("intrinsics", ())}
        views = [v for v in values["views"] if v.get("poseId", v["viewId"]) in poses and v["intrinsicId"] in sensors]
        if len(views) < len(values["views"]):
            left = len(values["views"]) - len(views)
            options.notes.append(f"{left} of {len(values['views'])} views have no pose and are left out")
        if not views:
            raise HeadfitError(f"{file}: no view with a pose in it")
        paths = [Path(PureWindowsPath(view["path"]).as_posix()) for view in views]
        names, pictures = named_pictures(paths, file.parent, options)
        by_name = dict(zip(names, views, strict=True))
        cameras = []
        for name in content.with_pictures(names, pictures, options):
            view = by_name[name]
            pose, sensor = poses[view.get("poseId", view["viewId"])], sensors[view["intrinsicId"]]
            size = int(sensor["width"]), int(sensor["height"])
            R, _ = entries.rotation(entries.numbers(pose["rotation"], 3, 3).T)
            K, lens = intrinsics(sensor, version, name)
            entry = entries.camera(name, size, K, R, -R @ entries.numbers(pose["center"], 3), lens)
            cameras.append(content.fitted(entry, pictures, options))
    options.unscaled()
    return content.content(file.stem, cameras, options, pictures=pictures)


def _file(source: Path) -> Path | None:
    for file in [source] if source.is_file() else [*sorted(source.glob("*.sfm")), *sorted(source.glob("*.json"))]:
        if file.suffix in (".sfm", ".json"):
            start = file.open("rb").read(4096)
            if b'"version"' in start and (b'"views"' in start or b'"featuresFolders"' in start):
                return file
    return None


def intrinsics(sensor: Mapping[str, Any], version: tuple[int, ...], name: str) -> tuple[Float, dict[str, Any]]:
    """K and the lens.

    Args:
        sensor: an entry of 'intrinsics'.
        version: of the file.
        name: of the camera, for messages.
    """
    size = np.array([float(sensor["width"]), float(sensor["height"])])
    centre = entries.numbers(sensor["principalPoint"], 2) + (size / 2 if version >= (1, 2, 1) else 0.0)
    if version < (1, 2, 2):
        given = entries.numbers(sensor["pxFocalLength"])
        focal = given[[0, -1]]
    else:
        fx, ratio = (
            float(sensor["focalLength"]) / float(sensor["sensorWidth"]) * size[0],
            float(sensor.get("pixelRatio", 1)),
        )
        focal = np.array([fx, fx * ratio if version >= (1, 2, 5) else fx / ratio])
    K = entries.matrix_K(*focal, *centre)
    kind = str(sensor.get("distortionType", sensor.get("type", "")))
    model = next((model for model, names in MODELS.items() if kind in names), kind)
    params = entries.numbers(sensor.get("distortionParams") or []).tolist() if model != "none" else []
    lens, K, _ = convert_lens(f"meshroom/{model}", params, K, (int(size[0]), int(size[1])), name)
    return K, lens
