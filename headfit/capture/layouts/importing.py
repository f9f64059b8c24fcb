"""Import of a recording: read its layout, write capture.json, which points to its files, and check that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.self_check import SelfCheck, self_check
from headfit.errors import HeadfitError
from headfit.files import make_folder, write_atomically

#: Fields of capture.json, also of its cameras, that hold paths.
PATH_FIELDS = ("images", "masks", "landmarks")
#: Folders that a relative path climbs at most: what is farther away is named from the root.
MAX_CLIMB = 4


def import_recording(layout: str, source: Path, out: Path, options: ImportOptions) -> tuple[str, SelfCheck]:
    """Write `out`/capture.json, which points to the files of a recording, and compare its cameras with each other.

    Args:
        layout: a name of `LAYOUTS`, or auto.
        source: the recording, or its calibration file.
        out: the capture's folder, which is made.
        options: what the files do not say; the reader adds its notes.

    Returns:
        The name of the layout, and what the check found.

    Raises:
        HeadfitError: the source cannot be read, or `out` holds a capture already.
    """
    file = out / "capture.json"
    if file.exists():
        raise HeadfitError(f"{out}: already holds a capture; delete it or choose another folder")
    name, content = read_layout(layout, source, options)
    make_folder(out)
    write_atomically(file, json.dumps(located(content, out), indent=1))
    return name, self_check(out, options.arbitrary_unit)


def located(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`content` with its paths relative to `folder` where they are not far from it."""
    result = {key: _relative(value, folder) if key in PATH_FIELDS else value for key, value in content.items()}
    result["cameras"] = [
        {key: _relative(value, folder) if key in PATH_FIELDS else value for key, value in camera.items()}
        for camera in content["cameras"]
    ]
    return result


def _relative(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_relative(entry, folder) for entry in value]
    if isinstance(value, dict):
        return value | {"path": _relative(value["path"], folder)}
    path = Path(os.path.relpath(value, folder.resolve()))
    return path.as_posix() if path.parts.count("..") <= MAX_CLIMB else value
