"""RenderMe-360 (D. Pan et al., NeurIPS 2023): an SMC (HDF5) file, or its calibration as JSON {camera: {K, D, RT}}.

RT is camera to world, 4x4, with OpenCV's axes in metres (its 60 optical axes meet so; read as world to camera they do
not). D has OpenCV's five coefficients, often useless ones, of pictures that are undistorted already. The pictures are
inside the SMC file, encoded; headfit reads those that were extracted (--images).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import find_pictures
from headfit.capture.lenses import OpenCVLens
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, one_line, read_json
from headfit.types import Float

#: Width and height of the published pictures.
SIZE = (2448, 2048)
#: Share of its distance from the axis by which a lens may move the corner of a picture.
MAX_DISTORTION = 0.25
SUFFIXES = (".smc", ".h5", ".hdf5")


def recognise(source: Path) -> bool:
    """Whether `source` is an SMC file, or a JSON file of cameras with K, D and RT, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the SMC or JSON file, or a folder with one."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no SMC file, and no JSON file of cameras with K, D and RT")
    calibration, sizes = (read_json(file), {}) if file.suffix == ".json" else _read_smc(file)
    names = sorted(calibration)
    patterns = [f"{file.parent}/images/{prefix}{{camera}}/{{frame}}" for prefix in ("cam_", "")]
    pictures = find_pictures(patterns, names, options, file.parent)
    if not sizes and options.size is None and pictures is None:
        options.notes.append(
            f"the size {SIZE[0]}x{SIZE[1]} of the published pictures was taken: give --size for another"
        )
    cameras, dropped = [], []
    for name in content.with_pictures(names, pictures, options):
        with damage_named(file, f"RenderMe-360's calibration (camera {name})"):
            values = calibration[name]
            K = entries.numbers(values["K"], 3, 3) + entries.HALF_PIXEL
            pose = entries.numbers(np.array(values["RT"], dtype=float).ravel()[:12], 3, 4)
            D, size = entries.numbers(values.get("D", ())), sizes.get(name, SIZE)
            if not plausible(D, K, size):
                dropped.append(name)
                D = np.zeros(0)
            entry = entries.camera(name, size, K, *entries.inverse_pose(pose), D)
            cameras.append(content.fitted(entry, pictures, options))
    if dropped:
        options.notes.append(
            f"the lens coefficients of {len(dropped)} cameras are useless (they fold or move the corners) and are left "
            f"out: {some_of(dropped)}"
        )
    return content.content(file.stem, cameras, options, fps=30.0, pictures=pictures)


def plausible(D: Float, K: Float, size: tuple[int, int]) -> bool:
    """Whether a lens is one-to-one over the picture and moves its corners by less than `MAX_DISTORTION`.

    Args:
        D: OpenCV's five coefficients, or fewer.
        K: `[3,3]`.
        size: width and height, pixels.
    """
    if not np.isfinite(D).all():
        return False
    corners = np.array([[x, y] for x in (0, size[0]) for y in (0, size[1])], dtype=np.float64)
    ideal = (corners - K[:2, 2]) / K[[0, 1], [0, 1]]
    lens = OpenCVLens.of(np.pad(D, (0, max(0, 5 - len(D)))))
    moved = np.stack(lens.distort(*ideal.T), axis=-1)
    shift, radius = np.linalg.norm(moved - ideal, axis=1), np.linalg.norm(ideal, axis=1)
    return bool((radius**2 < lens.fold).all() and (shift < MAX_DISTORTION * radius).all())


def _file(source: Path) -> Path | None:
    files = [source] if source.is_file() else [*sorted(source.glob("*.smc")), *sorted(source.glob("*.json"))]
    for file in files:
        if file.suffix in SUFFIXES:
            return file
        if file.suffix == ".json":
            start = file.open("rb").read(8192).decode("utf-8", errors="replace")
            if all(f'"{key}"' in start for key in ("K", "D", "RT")):
                return file
    return None


def _read_smc(file: Path) -> tuple[Mapping[str, Any], dict[str, tuple[int, int]]]:
    """The calibration, and the size of the pictures of each camera, of an SMC file."""
    try:
        import h5py
    except ImportError as error:
        raise HeadfitError(f"{file}: an SMC file needs h5py: pip install 'headfit[import]'") from error
    try:
        with h5py.File(file, "r") as opened:
            groups = opened["Calibration"]
            calibration = {str(name): {key: groups[name][key][()] for key in groups[name]} for name in groups}
            if "Camera" not in opened or "resolution" not in opened["Camera"].attrs:
                return calibration, {}
            height, width = sorted(int(side) for side in np.ravel(opened["Camera"].attrs["resolution"])[:2])
            return calibration, dict.fromkeys(calibration, (width, height))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise HeadfitError(f"{file}: cannot be read as RenderMe-360's SMC file ({one_line(error)})") from error
