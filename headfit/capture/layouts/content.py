"""What all readers share at the end: the size of each camera's pictures, and the content of capture.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headfit.capture.layouts.entries import resized
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import PLACEHOLDER, Pictures
from headfit.capture.selection import frame_slice
from headfit.errors import HeadfitError, some_of
from headfit.types import Float

#: Frame of a recording whose pictures are not there: capture.json lists at least one.
NO_FRAMES = ["000000"]
#: By which factors published pictures are smaller than those that were calibrated.
REDUCTIONS = (1, 2, 4, 8)


def calibrated_size(options: ImportOptions, what: str, hint: str = "") -> tuple[int, int]:
    """`options.size`. Raises HeadfitError that asks for it.

    Args:
        options: the options.
        what: the file that does not say the size.
        hint: the usual size, for the message.
    """
    if options.size is None:
        raise HeadfitError(
            f"{what}: the size of the pictures is not in this file, and no picture was found next to it; give it with "
            f"--size WIDTHxHEIGHT{hint}"
        )
    return options.size


def size_by_principal_point(K: Float, picture: tuple[int, int]) -> tuple[int, int]:
    """The size at which K was calibrated, which is the picture's or 2, 4 or 8 times it: where its principal point is
    nearest to the middle."""
    wanted = 2 * K[:2, 2] / picture
    factor = min(REDUCTIONS, key=lambda reduction: float(np.abs(np.log(np.maximum(wanted, 1e-9) / reduction)).sum()))
    return picture[0] * factor, picture[1] * factor


def fitted(entry: dict[str, Any], pictures: Pictures | None, options: ImportOptions) -> dict[str, Any]:
    """The entry of a camera at the size of its pictures as they are, or by `options.size` where they are absent."""
    found = pictures.size(entry["id"]) if pictures else None
    size = found or options.size
    if size is None or size == (entry["width"], entry["height"]):
        return entry
    ratio = size[0] * entry["height"] / (size[1] * entry["width"])
    if abs(np.log(ratio)) > 0.02:
        options.notes.append(
            f"camera {entry['id']}: calibrated for {entry['width']}x{entry['height']}, but its pictures are "
            f"{size[0]}x{size[1]}: cropped or turned? K is scaled, which is wrong then"
        )
    return resized(entry, *size)


def with_pictures(names: Sequence[str], pictures: Pictures | None, options: ImportOptions) -> list[str]:
    """The cameras that have pictures; all of them where none has. Notes what is left out."""
    if pictures is None:
        return list(names)
    absent = [name for name in names if name not in pictures.first]
    if absent:
        options.notes.append(f"{len(absent)} calibrated cameras have no pictures and are left out: {some_of(absent)}")
    return [name for name in names if name in pictures.first]


def content(
    name: str,
    cameras: list[dict[str, Any]],
    options: ImportOptions,
    *,
    unit: str = "m",
    fps: float = 25.0,
    pictures: Pictures | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The content of capture.json.

    Args:
        name: the capture's name.
        cameras: its camera entries; `options.selection` chooses some.
        options: the options; `scale` replaces `unit`.
        unit: of the cameras' t: m, cm or mm.
        fps: frames per second.
        pictures: where they are; None when there are none.
        more: further fields, such as masks; None is left out.
    """
    cameras = [cameras[index] for index in options.selection.camera_indices([entry["id"] for entry in cameras])]
    if not cameras:
        raise HeadfitError("no camera is left to import")
    if options.scale is not None:
        unit = "m"
        cameras = [camera | {"t": (options.scale * np.array(camera["t"])).tolist()} for camera in cameras]
    result: dict[str, Any] = {"name": name, "fps": fps, "units": unit, "cameras": cameras}
    more = {key: value for key, value in more.items() if value is not None}
    if pictures is not None and not pictures.pattern:
        result["cameras"] = [entry | {"images": escaped(pictures.first[entry["id"]])} for entry in cameras]
        return result | {"frames": pictures.frames} | more
    if pictures is not None:
        return result | {"images": escaped(pictures.pattern), "frames": pictures.frames} | more
    options.notes.append("no pictures found: 'images' and 'frames' of capture.json have to be filled in (--images)")
    frames: Any = NO_FRAMES
    chosen = frame_slice(options.selection.frames)
    if chosen.stop is not None and chosen.stop > (chosen.start or 0) >= 0:
        frames = {"start": chosen.start or 0, "stop": chosen.stop, "step": chosen.step or 1, "width": 6}
    return result | {"frames": frames} | more


def escaped(pattern: str) -> str:
    """The pattern with the braces doubled that are part of a name."""
    parts = PLACEHOLDER.split(pattern)
    parts[::2] = [part.replace("{", "{{").replace("}", "}}") for part in parts[::2]]
    return "".join(parts)
