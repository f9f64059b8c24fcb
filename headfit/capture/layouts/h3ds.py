"""H3DS and others with the cameras of IDR and NeuS: `cameras.npz` with a projection `world_mat_<i>` for each picture.

`world_mat_<i>` is K [R | t], 4x4 and up to a factor; `scale_mat_<i>`, which only normalises the scene, is not used.
Pixels count from the first centre, as IDR casts its rays. H3DS is in millimetres.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import IMAGE_SUFFIXES, Pictures, find_pictures
from headfit.errors import HeadfitError
from headfit.files import damage_named
from headfit.npz import npz_names, read_npz
from headfit.types import Float

FILES = ("cameras.npz", "cameras_sphere.npz", "cameras_linear_init.npz")
_KEY = re.compile(r"world_mat_(\d+)")


def recognise(source: Path) -> bool:
    """Whether `source` is an npz with world_mat_0, or a folder with one."""
    file = _file(source)
    return file is not None and any(_KEY.fullmatch(name) for name in npz_names(file))


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the npz, or its folder."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no {FILES[0]} there")
    arrays = read_npz(file)
    numbers = sorted(int(match[1]) for name in arrays if (match := _KEY.fullmatch(name)))
    names = [f"{number:04d}" for number in numbers]
    pictures = find_pictures([], names, options, file.parent) if options.images else _pictures(file.parent, names)
    cameras = []
    for name in content.with_pictures(names, pictures, options):
        with damage_named(file, f"cameras of IDR (picture {name})"):
            K, R, t = decomposed(entries.numbers(arrays[f"world_mat_{int(name)}"])[:12].reshape(3, 4))
            size = (pictures.size(name) if pictures else None) or content.calibrated_size(options, str(file))
            cameras.append(entries.camera(name, size, K + entries.HALF_PIXEL, R, t))
    if options.scale is None:
        options.notes.append("positions are taken for millimetres, as in H3DS: give --scale for another data set")
    return content.content(file.parent.name, cameras, options, unit="mm", pictures=pictures)


def decomposed(P: Float) -> tuple[Float, Float, Float]:
    """K, R, t of a projection `[3,4]` that is given up to a factor."""
    P = P / np.cbrt(np.linalg.det(P[:, :3]))
    K, R, homogeneous = cv2.decomposeProjectionMatrix(P)[:3]
    K, R, centre = (np.asarray(part, dtype=np.float64) for part in (K, R, homogeneous[:3] / homogeneous[3]))
    return K / K[2, 2], R, -R @ centre.ravel()


def _file(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix == ".npz" else None
    return next((source / name for name in FILES if (source / name).is_file()), None)


def _pictures(folder: Path, names: list[str]) -> Pictures | None:
    """The pictures in image/, in the order of their names: the i-th is that of world_mat_<i>."""
    files = sorted(path for path in (folder / "image").glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    first = {name: str(files[int(name)]) for name in names if int(name) < len(files)}
    return Pictures("", ["000000"], first) if first else None
