"""Multiface (C. Wuu et al., 2022): a text file `KRT` with a block for each camera.

A block is the id; K in 3 lines; 5 lens coefficients; [R|t] in 3 lines, world to camera with OpenCV's axes in mm; an
empty line. Pixels are taken from the first centre: Goliath, by the same makers, scales them so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import find_pictures
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, read_text

#: Width and height of the published pictures, for which the file holds.
SIZE = (1334, 2048)
#: What the published pictures lack: its `gammaCorrect` (utils.py): white balance over 1.1, black level, gain, gamma 2.
COLOR = [
    {"gain": [1.4 / 1.1, 1.1 / 1.1, 1.6 / 1.1]},
    {"black": [3 / 255] * 3},
    {"gain": [0.95 / (1 - 3 / 255)] * 3},
    {"gamma": 2.0},
    {"black": [15 / 255] * 3},
]


def recognise(source: Path) -> bool:
    """Whether `source` is a KRT file, or a folder with one."""
    file = source / "KRT" if source.is_dir() else source
    if not file.is_file() or "KRT" not in file.name.upper():
        return False
    try:
        return len(read_krt(file)) > 0
    except HeadfitError:
        return False


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the KRT file, or the folder of a recording."""
    file = source / "KRT" if source.is_dir() else source
    blocks = read_krt(file)
    segment = _segment(file.parent, options)
    patterns = [f"{file.parent}/images/{segment}/{{camera}}/{{frame}}"] if segment else []
    pictures = find_pictures(patterns, list(blocks), options, file.parent)
    if pictures is None and options.size is None:
        options.notes.append(
            f"the size {SIZE[0]}x{SIZE[1]} of the published pictures was taken: give --size for another"
        )
    cameras = []
    for name in content.with_pictures(list(blocks), pictures, options):
        K, lens, pose = blocks[name]
        R, _ = entries.rotation(pose[:, :3])
        size = SIZE if pictures is None else content.size_by_principal_point(K, pictures.size(name) or SIZE)
        entry = entries.camera(name, size, K + entries.HALF_PIXEL, R, pose[:, 3], lens)
        cameras.append(content.fitted(entry, pictures, options) | {"color": COLOR})
    title = f"{file.parent.name} {segment}" if segment else file.parent.name
    return content.content(title, cameras, options, unit="mm", fps=30.0, pictures=pictures)


def read_krt(file: Path) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """By camera K `[3,3]`, the lens coefficients and [R|t] `[3,4]`. Raises HeadfitError naming the line."""
    lines = [
        (number, line.split()) for number, line in enumerate(read_text(file).splitlines(), start=1) if line.strip()
    ]
    blocks = {}
    for start in range(0, len(lines), 8):
        block = [words for _, words in lines[start : start + 8]]
        if [len(words) for words in block if words][:4] != [1, 3, 3, 3] or [len(w) for w in block[5:]] != [4, 4, 4]:
            raise HeadfitError(
                f"{file}: line {lines[start][0]}: expected a camera in 8 lines: its id, 3x3 intrinsics, lens "
                "coefficients, and [R|t] in 3 lines of 4"
            )
        with damage_named(file, f"a KRT file (camera {block[0][0]})"):
            K, pose = (np.array(block[a:b], dtype=np.float64) for a, b in ((1, 4), (5, 8)))
            blocks[block[0][0]] = (K, np.array(block[4], dtype=np.float64), pose)
    if not blocks:
        raise HeadfitError(f"{file}: no cameras in it")
    return blocks


def _segment(folder: Path, options: ImportOptions) -> str | None:
    """The segment, a folder in images/: the one named, or the only one."""
    found = sorted(path.name for path in (folder / "images").glob("*") if path.is_dir())
    if options.sequence is not None:
        if options.sequence not in found:
            raise HeadfitError(f"{folder / 'images'}: no segment {options.sequence!r}; there are: {some_of(found, 10)}")
        return options.sequence
    if len(found) > 1:
        raise HeadfitError(f"{folder / 'images'}: several segments; choose one with --sequence: {some_of(found, 10)}")
    return found[0] if found else None
