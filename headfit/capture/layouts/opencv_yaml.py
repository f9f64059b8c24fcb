"""OpenCV's FileStorage, `intri.yml` and `extri.yml`, as EasyMocap writes them.

For each of `names`: `K_<name>`, `dist_<name>` (or `D_`) and perhaps `H_`, `W_` in the one; `R_<name>` (Rodrigues),
`Rot_<name>` (3x3) and `T_<name>` in the other, world to camera with OpenCV's axes, in metres. Pixels count from the
first centre. The YAML is OpenCV's own: a header `%YAML:1.0` that YAML readers refuse, and the tag `!!opencv-matrix`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import find_pictures
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, one_line, read_text
from headfit.types import Float

INTRINSICS, EXTRINSICS = "intri.yml", "extri.yml"
#: Prefixes of the coefficients of the lens, of which EasyMocap knows both.
LENS_KEYS = ("dist", "D")


def recognise(source: Path) -> bool:
    """Whether `source` is or holds intri.yml and extri.yml."""
    folder = source.parent if source.is_file() else source
    wanted = source.is_dir() or source.name in (INTRINSICS, EXTRINSICS)
    return wanted and all((folder / name).is_file() for name in (INTRINSICS, EXTRINSICS))


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the folder, or one of its two files."""
    folder = source.parent if source.is_file() else source
    values = {}
    for file in (folder / INTRINSICS, folder / EXTRINSICS):
        values[file.name] = read_storage(file)
    intri, extri = values[INTRINSICS], values[EXTRINSICS]
    names = [name for name in _names(extri) if f"K_{name}" in intri]
    if not names:
        raise HeadfitError(f"{folder}: no camera is in both {INTRINSICS} and {EXTRINSICS}")
    odd = sorted({*_names(intri), *_names(extri)} - set(names))
    if odd:
        options.notes.append(f"left out, because they are in one of the two files only: {some_of(odd)}")
    patterns = [f"{folder}/{kind}/{{camera}}{rest}" for kind in ("images", "videos") for rest in ("/{frame}", ".mp4")]
    pictures = find_pictures(patterns, names, options, folder)
    cameras = []
    for name in content.with_pictures(names, pictures, options):
        with damage_named(folder / EXTRINSICS, f"a calibration (camera {name})"):
            K = entries.numbers(intri[f"K_{name}"], 3, 3) + entries.HALF_PIXEL
            stated = tuple(int(float(intri.get(f"{side}_{name}", 0))) for side in "WH")
            size = stated if all(stated) else pictures.size(name) if pictures else None
            size = size or content.calibrated_size(options, str(folder / INTRINSICS))
            lens: Any = next((intri[f"{key}_{name}"] for key in LENS_KEYS if f"{key}_{name}" in intri), [])
            R, t = _rotation(extri, name), entries.numbers(extri[f"T_{name}"], 3)
            entry = entries.camera(name, size, K, R, t, np.array(lens).ravel())
            cameras.append(content.fitted(entry, pictures, options))
    return content.content(folder.name, cameras, options, pictures=pictures)


def read_storage(file: Path) -> dict[str, Any]:
    """The nodes of a FileStorage in YAML: matrices as arrays, all else as text or lists of text."""
    text = re.sub(r"^%YAML.*$", "", read_text(file), count=1, flags=re.MULTILINE).replace("!!opencv-matrix", "")
    try:
        values = yaml.load(text, Loader=yaml.BaseLoader)  # as text: a camera 007 is not a number
    except Exception as error:
        raise HeadfitError(f"{file}: not readable as OpenCV's YAML: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise HeadfitError(f"{file}: expected named matrices as OpenCV's FileStorage writes them")
    with damage_named(file, "OpenCV's FileStorage"):
        return {key: _matrix(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _matrix(node: Mapping[str, Any]) -> Any:
    if not {"rows", "cols", "data"} <= set(node):
        return node
    return np.array([float(value) for value in node["data"]]).reshape(int(node["rows"]), int(node["cols"]))


def _names(values: Mapping[str, Any]) -> list[str]:
    """The cameras of a file: its `names`, or else those that have a matrix."""
    if isinstance(values.get("names"), list) and values["names"]:
        return [str(name) for name in values["names"]]
    prefixes = [match for key in values if (match := re.fullmatch(r"(?:K|T)_(.+)", key))]
    return list(dict.fromkeys(match[1] for match in prefixes))


def _rotation(values: Mapping[str, Any], name: str) -> Float:
    """`Rot_` where it is there, else `R_`: a vector, or a matrix as others write it."""
    given = entries.numbers(values[f"Rot_{name}"] if f"Rot_{name}" in values else values[f"R_{name}"])
    matrix = given if given.size == 9 else cv2.Rodrigues(given.reshape(3))[0]
    return entries.rotation(np.asarray(matrix, dtype=np.float64).reshape(3, 3))[0]
