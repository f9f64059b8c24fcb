"""RealityCapture's (RealityScan's) XMP files, one next to each picture: `<picture>.xmp`.

`xcr:Rotation` is world to camera by rows with OpenCV's axes, `xcr:Position` the camera's centre; either may be an
attribute or an element. Focal length (for 36 mm) and principal point (from the middle) are shares of the longer side.
The size of the pictures is not in the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import Pictures, named_pictures
from headfit.capture.lenses.convert import convert_lens
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_text
from headfit.types import Float

#: Millimetres for which focal lengths are given.
FILM = 36.0
COEFFICIENTS = ("k1", "k2", "k3", "k4", "t1", "t2")


def recognise(source: Path) -> bool:
    """Whether `source` is an XMP file of RealityCapture, or a folder with some."""
    return bool(_files(source))


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: one XMP file, or the folder with all of them."""
    files = _files(source)
    if not files:
        raise HeadfitError(f"{source}: no XMP file of RealityCapture with a Rotation and a Position")
    folder = source if source.is_dir() else source.parent
    names, pictures = named_pictures([Path(file.stem) for file in files], folder, options)
    by_name = dict(zip(names, files, strict=True))
    cameras = []
    for name in content.with_pictures(names, pictures, options):
        cameras.append(camera_of(name, by_name[name], pictures, options))
    if fields(files[0]).get("Coordinates") == "relative":
        options.unscaled()
    elif options.scale is None:
        options.notes.append("positions in the unit of the project, taken for metres: give --scale for another")
    return content.content(folder.name, cameras, options, pictures=pictures)


def _files(source: Path) -> list[Path]:
    found = [source] if source.is_file() else sorted(p for p in source.glob("*") if p.suffix.lower() == ".xmp")
    return [file for file in found if file.suffix.lower() == ".xmp" and _has_pose(file)]


def _has_pose(file: Path) -> bool:
    text = file.read_bytes().decode("utf-8", errors="replace")
    return "xcr:Rotation" in text and "xcr:Position" in text


def fields(file: Path) -> dict[str, str]:
    """The fields of RealityCapture's in an XMP file by name, whether attributes or elements."""
    text = read_text(file, replace_invalid=True)
    found = dict(re.findall(r'xcr:(\w+)\s*=\s*"([^"]*)"', text))
    return found | {name: value.strip() for name, value in re.findall(r"<xcr:(\w+)[^>]*>([^<]*)</xcr:", text)}


def camera_of(name: str, file: Path, pictures: Pictures | None, options: ImportOptions) -> dict[str, Any]:
    """The camera of an XMP file.

    Args:
        name: its id.
        file: the XMP file.
        pictures: say the size; without them `options.size` does.
        options: the options.
    """
    with damage_named(file, "an XMP file of RealityCapture"):
        values = fields(file)
        size = (pictures.size(name) if pictures else None) or content.calibrated_size(options, str(file))
        R, _ = entries.rotation(entries.numbers(values["Rotation"], 3, 3))
        K, lens = intrinsics(values, size, name)
        return entries.camera(name, size, K, R, -R @ entries.numbers(values["Position"], 3), lens)


def intrinsics(values: dict[str, str], size: tuple[int, int], name: str) -> tuple[Float, dict[str, Any]]:
    """K and the lens by the fields of an XMP file.

    Args:
        values: the fields.
        size: width and height of the picture.
        name: of the camera, for messages.
    """
    longer = max(size)
    f = float(values["FocalLength35mm"]) / FILM * longer
    aspect, skew = float(values.get("AspectRatio", 1)), float(values.get("Skew", 0))
    cx, cy = (float(values.get(f"PrincipalPoint{axis}", 0)) * longer for axis in "UV")
    K = entries.matrix_K(f, f * aspect, size[0] / 2 + cx, size[1] / 2 + cy, skew * f)
    given = values.get("DistortionCoeficients") or values.get("DistortionCoefficients") or "0"
    params = dict(zip(COEFFICIENTS, entries.numbers(given).tolist(), strict=False))
    lens, K, _ = convert_lens(f"realitycapture/{values.get('DistortionModel', 'brown3')}", params, K, size, name)
    return K, lens
