"""Keys of capture.json that nothing reads, but that look like one that is read."""

from __future__ import annotations

import json
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from headfit.files import read_json

#: Least likeness of two words, and least length of a key that is compared.
LIKENESS, SHORTEST = 0.8, 4


def misspelt_keys(folder: Path) -> list[str]:
    """Warnings about the keys of capture.json in a folder, and of its cameras; none where there is no such file.

    Keys of other programs are welcome: only those are named that are much like one of ours, as `distortion` for `dist`.
    """
    file = folder / "capture.json"
    if not file.is_file():
        return []
    schema = json.loads((Path(__file__).parent / "capture.schema.json").read_text())
    content = read_json(file)
    of_cameras = {key for camera in content["cameras"] for key in camera}
    found = _misspelt(content, schema["properties"])
    for key, own in _misspelt(of_cameras, schema["$defs"]["camera"]["properties"]).items():
        found[f"{key} of a camera"] = own
    return [f"capture.json: {key} is not read; did you mean {own}?" for key, own in found.items()]


def _misspelt(keys: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Unknown keys, and the known one that each is like; not where that is there, too."""
    found, free = {}, [own for own in known if own not in keys and len(own) >= SHORTEST]
    for key in sorted(set(keys) - set(known)):
        like = ["dist"] if key.lower().startswith("distort") else get_close_matches(key.lower(), free, 1, LIKENESS)
        if like and like[0] in free:
            found[key] = like[0]
    return found
