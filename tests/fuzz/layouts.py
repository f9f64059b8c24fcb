"""Good calibrations in the layouts of others, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from tests.support import layout_writers as some
from tests.support import more_layout_writers as more
from tests.support.layout_cameras import head_rig


def _written(write: Callable[..., Path], file: str, coefficients: int, folder: Path) -> Path:
    write(folder, head_rig(coefficients, shared=True))
    return folder / file


#: By the layout's name: a function that writes a recording in a folder and returns the file that is damaged.
WRITERS: dict[str, Callable[[Path], Path]] = {
    "nersemble": partial(_written, some.nersemble, "camera_params.json", 0),
    "vhap": partial(_written, some.vhap, "transforms.json", 0),
    "transforms": partial(_written, some.transforms, "transforms.json", 5),
    "colmap": partial(_written, some.colmap_binary, "images.bin", 4),
    "opencv": partial(_written, some.opencv, "extri.yml", 5),
    "multiface": partial(_written, some.multiface, "KRT", 5),
    "ava-256": partial(_written, some.ava256, "camera_calibration.json", 4),
    "metashape": partial(_written, some.metashape, "cameras.xml", 5),
    "realitycapture": partial(_written, some.realitycapture, "100.xmp", 5),
    "realitycapture-csv": partial(_written, partial(some.realitycapture_csv, headings=True), "cameras.csv", 5),
    "facescape": partial(_written, more.facescape, "7/2_smile/params.json", 5),
    "renderme-360": partial(_written, more.renderme_json, "calibration.json", 5),
    "anipose": partial(_written, more.anipose, "calibration.toml", 5),
    "h3ds": partial(_written, more.h3ds, "cameras.npz", 0),
    "meshroom": partial(_written, more.meshroom, "cameras.sfm", 5),
    "opensfm": partial(_written, more.opensfm, "reconstruction.json", 5),
}


def read(layout: str, path: Path) -> object:
    """What an import of the file would write."""
    return read_layout(layout, path, ImportOptions(size=(640, 960)))
