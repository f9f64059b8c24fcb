"""capture.json: reading it, with exact messages about what is wrong, and the entries of its cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.labels import native_name
from headfit.capture.lenses import DEFAULT_LENS, LENSES, Lens
from headfit.errors import HeadfitError
from headfit.files import damage_named, failures_named, read_json
from headfit.types import Float

METRES_PER_UNIT = {"m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclass(frozen=True)
class Manifest:
    """The validated content of capture.json; camera positions are in metres. Fields as in `CaptureSource`."""

    name: str
    fps: float
    metres_per_unit: float
    cameras: list[Camera]
    frames: list[str]
    label_names: dict[int, str]


def read_manifest(folder: Path) -> Manifest:
    """The content of `folder`/capture.json. Raises HeadfitError naming the file, the camera and the field."""
    file = folder / "capture.json"
    if not folder.is_dir():
        raise HeadfitError(f"{folder}: no such capture folder")
    if not file.is_file():
        raise HeadfitError(f"{file}: missing. A capture is a folder with a capture.json (see data/README.md).")
    with failures_named(file):
        content = read_json(file)
    if not isinstance(content, dict):
        raise HeadfitError(f"{file}: expected an object with name, fps, units, cameras, frames, classes")
    with damage_named(file, "a capture"), _prefixed(f"{file}: "):
        metres_per_unit = _units(content)
        return Manifest(
            name=str(content.get("name", folder.resolve().name)),
            fps=_positive(content, "fps", "the frames a second; any positive number for stills"),
            metres_per_unit=metres_per_unit,
            cameras=_cameras(content, metres_per_unit),
            frames=_frames(content),
            label_names=_label_names(content.get("classes", {})),
        )


@contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    try:
        yield
    except HeadfitError as error:
        raise HeadfitError(f"{prefix}{error}") from error


def _units(content: dict[str, Any]) -> float:
    units = content.get("units")
    if not isinstance(units, str) or units not in METRES_PER_UNIT:
        found = "missing" if units is None else f"{units!r} is unknown"
        raise HeadfitError(f"'units' {found}: give the unit of the camera positions, one of {list(METRES_PER_UNIT)}")
    return METRES_PER_UNIT[units]


def _positive(content: Mapping[str, Any], field: str, meaning: str) -> float:
    if field not in content:
        raise HeadfitError(f"'{field}' is missing: {meaning}")
    value = content[field]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise HeadfitError(f"'{field}' is {value!r}, expected a positive number: {meaning}")
    return value


def _frames(content: dict[str, Any]) -> list[str]:
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise HeadfitError("'frames' is missing or empty: list the frame names in time order, as in the file names")
    if not all(isinstance(frame, str) and frame for frame in frames):
        raise HeadfitError("'frames' must be a list of strings, the file names without their suffix")
    _require_unique(frames, "frame")
    return frames


def _cameras(content: dict[str, Any], metres_per_unit: float) -> list[Camera]:
    entries = content.get("cameras")
    if not isinstance(entries, list) or not entries:
        raise HeadfitError("'cameras' is missing or empty")
    cameras = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
            raise HeadfitError(f"camera number {index} has no 'id' (a string, its folder name)")
        with _prefixed(f"camera {entry['id']}: "):
            cameras.append(read_camera(entry, metres_per_unit))
    _require_unique([camera.id for camera in cameras], "camera id")
    return cameras


def camera_entry(camera: Camera) -> dict[str, Any]:
    """A camera as an entry of capture.json in metres: the inverse of `read_camera`."""
    entry = {"id": camera.id, "width": camera.width, "height": camera.height}
    entry |= {name: getattr(camera, name).tolist() for name in ("K", "R", "t")}
    if camera.lens.name != DEFAULT_LENS:
        entry["lens"] = camera.lens.name
    return entry | {"dist": camera.lens.coefficients.tolist()}


def read_camera(entry: Mapping[str, Any], metres_per_unit: float = 1.0) -> Camera:
    """The camera of an entry of capture.json. Raises HeadfitError naming the field.

    Args:
        entry: a camera with an id.
        metres_per_unit: the unit of its 't'.
    """
    size = {field: _positive(entry, field, "the image size in pixels") for field in ("width", "height")}
    if any(value != int(value) for value in size.values()):
        raise HeadfitError(f"'width' and 'height' must be whole numbers of pixels, found {size}")
    K = _matrix(entry, "K", (3, 3))
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
        raise HeadfitError(f"'K' must be [[fx,s,cx],[0,fy,cy],[0,0,1]] with positive fx and fy, found {K.tolist()}")
    R = _matrix(entry, "R", (3, 3))
    deviation = np.abs(R @ R.T - np.eye(3)).max()
    if deviation > 1e-3 or np.linalg.det(R) < 0:
        kind = "mirrors (determinant -1)" if deviation <= 1e-3 else f"|R Rt - 1| reaches {deviation:.2g}"
        raise HeadfitError(f"'R' is not a rotation: {kind}. Expected world to camera, OpenCV axes.")
    return Camera(
        id=entry["id"],
        width=int(size["width"]),
        height=int(size["height"]),
        K=K,
        R=R,
        t=_matrix(entry, "t", (3,)) * metres_per_unit,
        lens=_lens(entry),
    )


def _lens(entry: Mapping[str, Any]) -> Lens:
    name = entry.get("lens", DEFAULT_LENS)
    model = LENSES.get(name) if isinstance(name, str) else None
    if model is None:
        raise HeadfitError(f"'lens' {name!r} is unknown. Known lens models: {', '.join(LENSES)}.")
    coefficients = _floats(entry, "dist") if "dist" in entry else np.zeros(0)
    if coefficients.ndim != 1 or coefficients.size not in model.coefficient_counts:
        forms = [f"[{','.join(model.coefficient_names[:count])}]" for count in model.coefficient_counts if count]
        raise HeadfitError(
            f"'dist' must be {' or '.join(forms)} for lens {name!r}, found {coefficients.size} numbers"
            + (f" of shape {coefficients.shape}" if coefficients.ndim != 1 else "")
        )
    return model.of(coefficients)


def _matrix(entry: Mapping[str, Any], field: str, shape: tuple[int, ...]) -> Float:
    if field not in entry:
        raise HeadfitError(f"'{field}' is missing, expected {'x'.join(map(str, shape))} numbers")
    matrix = _floats(entry, field)
    if matrix.shape != shape:
        raise HeadfitError(f"'{field}' has shape {matrix.shape}, expected {shape}")
    return matrix


def _floats(entry: Mapping[str, Any], field: str) -> Float:
    try:
        values = np.array(entry[field], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise HeadfitError(f"'{field}' must hold numbers only, found {entry[field]!r}") from error
    if not np.isfinite(values).all():
        raise HeadfitError(f"'{field}' holds values that are not finite: {entry[field]!r}")
    return values


def _label_names(classes: Any) -> dict[int, str]:
    if not isinstance(classes, dict):
        raise HeadfitError('\'classes\' must be an object {"mask value": "label name"}')
    names = {}
    for key, name in classes.items():
        if not (key.isascii() and key.isdigit() and len(key) <= 3 and int(key) <= 255):
            raise HeadfitError(f"'classes' has the key {key!r}, expected a mask value 0 to 255")
        with _prefixed(f"'classes' {key}: "):
            names[int(key)] = native_name(str(name))
    return names


def _require_unique(names: list[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise HeadfitError(f"{what} given more than once: {', '.join(twice[:5])}")
