"""RealityCapture's (RealityScan's) lists of cameras as CSV, of two kinds.

With heading, pitch, roll and intrinsics: camera to world with OpenGL's axes is Rz(-heading) Rx(pitch) Ry(roll),
degrees. With omega, phi, kappa: world to camera with OpenCV's axes is diag(-1,1,-1) Rz(omega) Rx(phi) Ry(kappa)
diag(-1,-1,1); there are no intrinsics then, but XMP files next to the list may have them. A line `#cameras N` may stand
before the header.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries, realitycapture
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import named_pictures
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_text
from headfit.types import Float

HEADING, OMEGA = {"name", "x", "y", "alt", "heading", "pitch", "roll"}, {"name", "x", "y", "z", "omega", "phi", "kappa"}
#: Focal length on 36 mm film that is guessed where nothing says any: a standard lens.
GUESSED_FOCAL = 50.0


def recognise(source: Path) -> bool:
    """Whether `source` is one of the lists, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the CSV file, or a folder with one."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no CSV file with the cameras of RealityCapture there")
    rows = _rows(file)
    paths = [Path(PureWindowsPath(row["name"]).as_posix()) for row in rows]
    names, pictures = named_pictures(paths, file.parent, options)
    by_name = dict(zip(names, rows, strict=True))
    xmp = {path.stem: realitycapture.fields(path) for path in sorted(file.parent.glob("*.xmp"))}
    usual = next((fields for fields in xmp.values() if "FocalLength35mm" in fields), None)
    cameras = []
    for name in content.with_pictures(names, pictures, options):
        row = by_name[name]
        with damage_named(file, f"a list of cameras (camera {name})"):
            size = (pictures.size(name) if pictures else None) or content.calibrated_size(options, str(file))
            R, centre = pose(row)
            K, lens = realitycapture.intrinsics(_intrinsics(row, xmp.get(name) or usual, size, options), size, name)
            cameras.append(entries.camera(name, size, K, R, -R @ centre, lens))
    if "f" not in rows[0]:
        options.notes.append(_where_from(len(set(xmp) & set(names)), usual is not None, options))
    if options.scale is None:
        options.notes.append("positions in the unit of the project, taken for metres: give --scale for another")
    return content.content(file.stem, cameras, options, pictures=pictures)


def _file(source: Path) -> Path | None:
    for file in [source] if source.is_file() else sorted(source.glob("*.csv")):
        start = file.open("rb").read(2048).decode("utf-8", errors="replace").lower()
        header = next((line for line in start.splitlines() if "name" in line and "," in line), "")
        columns = {column.strip(" #\ufeff") for column in header.split(",")}
        if columns >= HEADING or columns >= OMEGA:
            return file
    return None


def _rows(file: Path) -> list[dict[str, str]]:
    lines = [line for line in read_text(file).splitlines() if line.strip() and not line.lower().startswith("#cameras")]
    with damage_named(file, "a list of cameras"):
        columns = [column.strip(" #").lower() for column in lines[0].split(",")]
        rows = [dict(zip(columns, line, strict=False)) for line in csv.reader(lines[1:])]
    if not rows:
        raise HeadfitError(f"{file}: no cameras in it")
    return rows


def pose(row: Mapping[str, str]) -> tuple[Float, Float]:
    """R `[3,3]` from world to camera, and the centre `[3]`, of a row."""
    values = {key: float(row[key]) for key in row if key != "name" and row[key]}
    if "omega" in values:
        R = _about(2, values["omega"]) @ _about(0, values["phi"]) @ _about(1, values["kappa"])
        R = np.diag([-1.0, 1, -1]) @ R @ np.diag([-1.0, -1, 1])
        return R, np.array([values["x"], values["y"], values["z"]])
    c2w = _about(2, -values["heading"]) @ _about(0, values["pitch"]) @ _about(1, values["roll"])
    return entries.FLIP @ c2w.T, np.array([values["x"], values["y"], values["alt"]])


def _about(axis: int, degrees: float) -> Float:
    """The rotation about an axis (0 x, 1 y, 2 z)."""
    angle, (i, j) = np.deg2rad(degrees), ((1, 2), (2, 0), (0, 1))[axis]
    R = np.eye(3)
    R[[i, j], [i, j]] = np.cos(angle)
    R[i, j], R[j, i] = -np.sin(angle), np.sin(angle)
    return R


def _intrinsics(
    row: Mapping[str, str], xmp: dict[str, str] | None, size: tuple[int, int], options: ImportOptions
) -> dict[str, str]:
    """The fields of an XMP file: by the row (px, py like f in mm on 36 mm film), by the XMP, or by the options."""
    film = realitycapture.FILM
    if "f" in row:
        coefficients = " ".join(row.get(name) or "0" for name in realitycapture.COEFFICIENTS)
        centre = {f"PrincipalPoint{axis}": str(float(row.get(f"p{a}") or 0) / film) for axis, a in ("Ux", "Vy")}
        lens = {"DistortionModel": "brown4t2", "DistortionCoeficients": coefficients}
        return {"FocalLength35mm": row["f"]} | lens | centre
    if options.focal is not None:
        return {"FocalLength35mm": str(options.focal / max(size) * film)}
    return xmp or {"FocalLength35mm": str(GUESSED_FOCAL)}


def _where_from(own: int, others: bool, options: ImportOptions) -> str:
    """Where the intrinsics of a list without them are from."""
    if options.focal is not None:
        return f"the list has no intrinsics: the focal length {options.focal:g} px was given, without a lens"
    if others:
        return f"the list has no intrinsics: {own} cameras have those of their XMP file, the others those of the first"
    return (
        f"the list has no intrinsics: {GUESSED_FOCAL:g} mm on 36 mm film is a GUESS; give --focal, or export XMP files "
        "next to it"
    )
