"""capture.json: reading it, with exact messages about what is wrong, and the entries of its cameras.

capture.schema.json in this folder describes the same for editors and for programs that write it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.json_value import JsonValue
from headfit.capture.labels import native_name
from headfit.capture.lenses import DEFAULT_LENS, LENSES, Lens, make_lens
from headfit.capture.pattern import Numbering
from headfit.capture.pointers import Context, Pointers, read_pointers
from headfit.errors import HeadfitError
from headfit.files import damage_named, errors_in, failures_named, read_json
from headfit.types import Float

METRES_PER_UNIT = {"m": 1.0, "cm": 0.01, "mm": 0.001}
#: Most frames of a range: a day at a hundred a second.
MAX_FRAMES = 24 * 3600 * 100


@dataclass(frozen=True)
class Manifest:
    """The validated content of capture.json; camera positions are in metres. Fields as in `CaptureSource`.

    `pointers` says for each camera where its files are.
    """

    name: str
    fps: float
    metres_per_unit: float
    cameras: list[Camera]
    frames: list[str]
    label_names: dict[int, str]
    pointers: list[Pointers]


def read_manifest(folder: Path) -> Manifest:
    """The content of `folder`/capture.json. Raises HeadfitError naming the file and the place in it."""
    file = folder / "capture.json"
    if not folder.is_dir():
        raise HeadfitError(f"{folder}: no such capture folder")
    if not file.is_file():
        raise HeadfitError(f"{file}: missing. A capture is a folder with a capture.json (see data/README.md).")
    with failures_named(file):
        content = read_json(file)
    if not isinstance(content, dict):
        raise HeadfitError(f"{file}: expected an object with name, fps, units, cameras, frames, classes")
    with damage_named(file, "a capture"), errors_in(file):
        return parse_manifest(content, folder)


def parse_manifest(content: dict[str, Any], folder: Path) -> Manifest:
    """The validated content of a capture.json in `folder`. Raises HeadfitError that begins with the place in it."""
    top = JsonValue("", content)
    units = top.member("units", f"the unit of the camera positions, one of {', '.join(METRES_PER_UNIT)}")
    metres_per_unit = METRES_PER_UNIT[units.one_of(METRES_PER_UNIT)]
    frames = _frames(top.member("frames", "the frame names in time order, as in the file names, or a range"))
    context = Context(folder, Numbering.of(frames).numbered)
    entries = list(top.member("cameras", "a list of cameras").entries("cameras"))
    cameras, pointers = [], []
    for entry in entries:
        with _camera_named(entry):
            cameras.append(_camera(entry, metres_per_unit))
            pointers.append(read_pointers(top, entry, context))
    _require_unique("cameras", [camera.id for camera in cameras])
    return Manifest(
        name=str(content.get("name", folder.resolve().name)),
        fps=top.member("fps", "the frames a second; any positive number for stills").positive("a positive number"),
        metres_per_unit=metres_per_unit,
        cameras=cameras,
        frames=frames,
        label_names=_label_names(top.get("classes")),
        pointers=pointers,
    )


@contextmanager
def _camera_named(node: JsonValue) -> Iterator[None]:
    """End the message of a HeadfitError about a camera's entry with the camera's id."""
    try:
        yield
    except HeadfitError as error:
        id = node.value.get("id") if isinstance(node.value, dict) else None
        raise HeadfitError(f"{error} (camera {id})" if isinstance(id, str) else str(error)) from error


def _frames(node: JsonValue) -> list[str]:
    if isinstance(node.value, dict):
        return _frame_range(node)
    frames = [entry.text("a string, the file name without its suffix") for entry in node.entries("frame names")]
    _require_unique("frames", frames)
    return frames


def _frame_range(node: JsonValue) -> list[str]:
    names = ("start", "stop", "step", "width")
    node.only(names)
    defaults = {"start": 0, "step": 1, "width": 1}
    numbers = {name: defaults.get(name, 0) for name in names}
    numbers["stop"] = node.member("stop", "the number after the last frame").integer("a whole number")
    for name, value in node.items():
        numbers[name] = value.integer("a whole number")
    count = len(range(numbers["start"], numbers["stop"], numbers["step"])) if numbers["step"] > 0 else 0
    if numbers["start"] < 0 or not 1 <= count <= MAX_FRAMES or not 1 <= numbers["width"] <= 20:
        raise node.error(f"expected 0 <= start < stop, step and width above 0, and at most {MAX_FRAMES} frames")
    return [f"{n:0{numbers['width']}d}" for n in range(numbers["start"], numbers["stop"], numbers["step"])]


def camera_entry(camera: Camera) -> dict[str, Any]:
    """A camera as an entry of capture.json in metres: the inverse of `read_camera`."""
    entry = {"id": camera.id, "width": camera.width, "height": camera.height}
    entry |= {name: getattr(camera, name).tolist() for name in ("K", "R", "t")}
    coefficients = camera.lens.coefficients.tolist()
    if camera.lens.name == DEFAULT_LENS:
        return entry | {"dist": coefficients}
    return entry | {"lens": {"model": camera.lens.name, "coefficients": coefficients}}


def read_camera(entry: Mapping[str, Any], metres_per_unit: float = 1.0) -> Camera:
    """The camera of an entry of capture.json. Raises HeadfitError naming the field.

    Args:
        entry: a camera with an id.
        metres_per_unit: the unit of its 't'.
    """
    return _camera(JsonValue("camera", dict(entry)), metres_per_unit)


def _camera(node: JsonValue, metres_per_unit: float) -> Camera:
    id = node.member("id", "a string, the camera's name in file names").text("a string")
    K = _required_array(node, "K", (3, 3))
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
        raise node.member("K", "").error("expected [[fx,s,cx],[0,fy,cy],[0,0,1]] with positive fx and fy")
    R = _required_array(node, "R", (3, 3))
    deviation = np.abs(R @ R.T - np.eye(3)).max()
    if deviation > 1e-3 or np.linalg.det(R) < 0:
        kind = "it mirrors (determinant -1)" if deviation <= 1e-3 else f"|R Rt - 1| reaches {deviation:.2g}"
        expected = f"expected a rotation, world to camera with OpenCV axes, but {kind}"
        raise node.member("R", "").error(expected, shown=False)
    return Camera(
        id=id,
        width=_size(node, "width"),
        height=_size(node, "height"),
        K=K,
        R=R,
        t=_required_array(node, "t", (3,)) * metres_per_unit,
        lens=_lens(node),
    )


def _size(node: JsonValue, name: str) -> int:
    value = node.member(name, "the image size in pixels")
    size = value.integer("the image size, a whole number of pixels")
    if size < 1:
        raise value.error("expected the image size, a positive number of pixels")
    return size


def _required_array(node: JsonValue, name: str, shape: tuple[int, ...]) -> Float:
    return node.member(name, f"{'x'.join(map(str, shape))} numbers").array(shape)


def _lens(node: JsonValue) -> Lens:
    """{"model", "coefficients"}; or the model's name alone with the coefficients in "dist"."""
    lens, dist = node.get("lens"), node.get("dist")
    model = lens
    if lens is not None and isinstance(lens.value, dict):
        if dist is not None:
            raise dist.error("the coefficients are in 'lens' already; remove one of them", shown=False)
        lens.only(("model", "coefficients"))
        model, dist = lens.member("model", f"one of {', '.join(LENSES)}"), lens.get("coefficients")
    name = model.one_of(LENSES) if model else DEFAULT_LENS
    if dist is None:
        return make_lens(name, [])
    coefficients = dist.array()
    if coefficients.ndim != 1:
        raise dist.error("expected a list of numbers")
    with dist.naming():
        return make_lens(name, coefficients)


def _label_names(node: JsonValue | None) -> dict[int, str]:
    names = {}
    if node and isinstance(node.value, str):
        raise node.error(
            "expected an object; the name of a label map belongs to the masks, as "
            f'{{"path": ..., "labels": "{node.value}"}}',
            shown=False,
        )
    for key, value in node.items() if node else []:
        if not (key.isascii() and key.isdigit() and len(key) <= 3 and int(key) <= 255):
            raise value.error("the key must be a mask value 0 to 255", shown=False)
        with value.naming():
            names[int(key)] = native_name(str(value.value))
    return names


def _require_unique(place: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise HeadfitError(f"{place}: given more than once: {', '.join(twice[:5])}")
