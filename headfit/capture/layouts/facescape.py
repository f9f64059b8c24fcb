"""FaceScape (H. Yang et al., CVPR 2020), multi-view pictures: `<id>/<n_expression>/params.json`, pictures `<view>.jpg`
next to it.

For each view v: `v_K` (3x3, or 4x4), `v_Rt` (3x4, world to camera, OpenCV's axes), `v_distortion` (k1 k2 p1 p2 k3),
`v_width`, `v_height`, and `v_valid`: a view without it is not to be used. Pixels count from the first centre (they are
undistorted by OpenCV). The unit is another one in each expression; `Rt_scale_dict.json` has the millimetres of each.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import named_pictures
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, read_json

FILE, SCALES = "params.json", "Rt_scale_dict.json"


def recognise(source: Path) -> bool:
    """Whether `source` is a params.json of FaceScape, or a folder of an expression, a subject or all."""
    files = (
        [source] if source.is_file() else [*source.glob(FILE), *source.glob(f"*/{FILE}"), *source.glob(f"*/*/{FILE}")]
    )
    return bool(files) and files[0].suffix == ".json" and b'0_K"' in files[0].read_bytes()[:20000]


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: params.json, or the folder of an expression, a subject or all."""
    file = _file(source, options)
    values = read_json(file)
    views = sorted(int(match[1]) for key in values if (match := re.fullmatch(r"(\d+)_K", key)))
    valid = [view for view in views if values.get(f"{view}_valid", True) is not False]
    if len(valid) < len(views):
        options.notes.append(f"{len(views) - len(valid)} of {len(views)} views are not valid by the file and left out")
    names, pictures = named_pictures([Path(f"{view}.jpg") for view in valid], file.parent, options)
    scale = _millimetres(file) if options.scale is None else None
    if scale is None:
        options.unscaled()
    cameras = []
    for name in content.with_pictures(names, pictures, options):
        with damage_named(file, f"FaceScape's calibration (view {name})"):
            K = np.array(values[f"{name}_K"], dtype=np.float64)[:3, :3] + entries.HALF_PIXEL
            pose = entries.numbers(values[f"{name}_Rt"])[:12].reshape(3, 4)
            R, _ = entries.rotation(pose[:, :3])
            size = int(float(values[f"{name}_width"])), int(float(values[f"{name}_height"]))
            t = pose[:, 3] * (scale or 1.0)
            entry = entries.camera(name, size, K, R, t, values.get(f"{name}_distortion", ()))
            cameras.append(content.fitted(entry, pictures, options))
    title = f"{file.parent.parent.name} {file.parent.name}"
    return content.content(title, cameras, options, unit="m" if scale is None else "mm", pictures=pictures)


def _file(source: Path, options: ImportOptions) -> Path:
    if source.is_file():
        return source
    subject, sequence = options.subject or "*", options.sequence or "*"
    found = [*source.glob(FILE), *source.glob(f"{sequence}/{FILE}"), *source.glob(f"{subject}/{sequence}/{FILE}")]
    if len(found) != 1:
        there = some_of(sorted(str(path.parent.relative_to(source)) for path in found)) if found else f"no {FILE}"
        raise HeadfitError(f"{source}: choose one with --subject and --sequence; there are: {there}")
    return found[0]


def _millimetres(file: Path) -> float | None:
    """How many mm a unit of this expression is, by Rt_scale_dict.json above it: {id: {expression: [scale, Rt]}}."""
    subject, expression = file.parent.parent.name, file.parent.name.partition("_")[0]
    for folder in file.parents[:4]:
        scales = folder / SCALES
        if scales.is_file():
            with damage_named(scales, "FaceScape's scales"):
                return float(read_json(scales)[subject][expression][0])
    return None
