"""Captures whose masks call things otherwise."""

import json
import shutil
from pathlib import Path

#: What an inner mouth shows.
INSIDE = {"upper_teeth", "lower_teeth", "teeth", "gums", "tongue", "mouth_cavity"}


def relabelled(capture: Path, to: Path, label_of, **masks) -> Path:
    """A copy of a capture whose labels are called what `label_of` says."""
    shutil.copytree(capture, to)
    content = json.loads((to / "capture.json").read_text())
    content["classes"] = {value: label_of(name) for value, name in content["classes"].items()}
    if masks:
        content["masks"] = {"path": "masks/{camera}/{frame}.png", **masks}
    (to / "capture.json").write_text(json.dumps(content))
    return to
