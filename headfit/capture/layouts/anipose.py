"""Anipose's and FreeMoCap's calibration in TOML: a table for each camera.

`name`, `size` [width, height], `matrix` (3x3), `distortions` (OpenCV's k1 k2 p1 p2 k3, or four of its fisheye with
`fisheye = true`), `rotation` (Rodrigues) and `translation`, world to camera with OpenCV's axes, in the unit of the
calibration board. Pixels count from the first centre.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import find_pictures
from headfit.errors import HeadfitError
from headfit.files import damage_named, one_line, read_text

#: Distance between cameras from which on the unit is guessed to be a millimetre.
FAR = 20.0
FOLDERS = ("videos", "synchronized_videos", ".", "images", "..")


def recognise(source: Path) -> bool:
    """Whether `source` is a TOML file of cameras, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the TOML file, or a folder with one."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no TOML file of Anipose or FreeMoCap there")
    tables = {key: table for key, table in _toml(file).items() if isinstance(table, dict) and "matrix" in table}
    by_name = {str(table.get("name", key)): table for key, table in tables.items()}
    patterns = [f"{file.parent / folder}/{{camera}}{end}" for folder in FOLDERS for end in (".mp4", "/{frame}")]
    pictures = find_pictures(patterns, list(by_name), options, file.parent)
    cameras = []
    for name in content.with_pictures(list(by_name), pictures, options):
        with damage_named(file, f"a calibration of Anipose (camera {name})"):
            table = by_name[name]
            K = entries.numbers(table["matrix"], 3, 3) + entries.HALF_PIXEL
            R = np.asarray(cv2.Rodrigues(entries.numbers(table["rotation"], 3))[0], dtype=np.float64)
            size = (pictures.size(name) if pictures else None) or options.size
            size = table["size"] if "size" in table else size or content.calibrated_size(options, str(file))
            lens: Any = table.get("distortions", [])
            if table.get("fisheye"):
                lens = {"model": "fisheye", "coefficients": [*lens, 0, 0, 0, 0][:4]}
            entry = entries.camera(name, size, K, R, entries.numbers(table["translation"], 3), lens)
            cameras.append(content.fitted(entry, pictures, options))
    unit = "m"
    if options.scale is None:
        centres = np.array([np.array(c["R"]).T @ np.array(c["t"]) for c in cameras])
        unit = "mm" if np.ptp(centres, axis=0).max() > FAR else "m"
        options.notes.append(
            f"the unit is that of the calibration board: {unit} is a GUESS by the distances of cameras"
        )
    return content.content(file.stem, cameras, options, unit=unit, fps=30.0, pictures=pictures)


def _file(source: Path) -> Path | None:
    for file in [source] if source.is_file() else sorted(source.glob("*.toml")):
        if file.suffix == ".toml" and all(key in file.read_bytes() for key in (b"matrix", b"rotation", b"translation")):
            return file
    return None


def _toml(file: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise HeadfitError(f"{file}: Python 3.10 reads TOML by tomli: pip install 'headfit[import]'") from error
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise HeadfitError(f"{file}: not readable as TOML: {one_line(error)}") from error
