"""ava-256 and Goliath (J. Martinez et al., Codec Avatar Studio, 2024): `camera_calibration.json`.

`{"KRT": [{"cameraId", "K", "distortion", "T"}]}`. K and T are stored TRANSPOSED: K^T are the intrinsics, the first
three rows of T^T world to camera with OpenCV's axes, in mm. They hold for 2668x4096 pixels, of which the releases have
a half or a quarter. Pixels count from the first centre: Goliath's loader takes (c + 0.5) / 2 - 0.5.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import Pictures, files_of, find_pictures
from headfit.errors import HeadfitError
from headfit.files import damage_named, read_json, read_text

FILE = "camera_calibration.json"
#: Width and height for which the calibration holds.
SIZE = (2668, 4096)
#: Goliath's pictures are not balanced: its loader takes off a black level (in 1/255) and multiplies.
GOLIATH_COLOR = [{"black": [2 / 255, 1 / 255, 2 / 255]}, {"gain": [1.4, 1.1, 1.6]}]


def recognise(source: Path) -> bool:
    """Whether `source` is camera_calibration.json, or a folder with one."""
    file = source / FILE if source.is_dir() else source
    if not file.is_file() or file.suffix != ".json":
        return False
    return file.name == FILE or '"cameraId"' in file.read_bytes()[:4096].decode("utf-8", errors="replace")


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the calibration, or the folder of a recording."""
    file = source / FILE if source.is_dir() else source
    values = read_json(file)
    if not isinstance(values, dict) or not isinstance(values.get("KRT"), list):
        raise HeadfitError(f"{file}: expected an object with 'KRT', a list of cameras")
    with damage_named(file, "a calibration of ava-256"):
        by_name = {str(entry["cameraId"]): entry for entry in values["KRT"]}
    folder = file.parent
    patterns = [f"{folder}/image/cam{{camera}}.zip/cam{{camera}}/{{frame}}", f"{folder}/image/cam{{camera}}/{{frame}}"]
    pictures = find_pictures(patterns, list(by_name), options, folder)
    frames = _segment_frames(folder, options)
    if pictures and frames is not None:
        pictures = Pictures(pictures.pattern, [f for f in pictures.frames if int(f) in frames], pictures.first)
    goliath = (folder / "frame_splits_list.csv").is_file()
    cameras = []
    for name in content.with_pictures(list(by_name), pictures, options):
        with damage_named(file, f"a calibration of ava-256 (camera {name})"):
            entry = by_name[name]
            K = entries.numbers(entry["K"], 3, 3).T + entries.HALF_PIXEL
            pose = entries.numbers(entry["T"], 4, -1).T[:3]
            R, _ = entries.rotation(pose[:, :3])
            lens = entry.get("distortion") or []
            camera = content.fitted(entries.camera(name, SIZE, K, R, pose[:, 3], lens), pictures, options)
            cameras.append(camera | ({"color": GOLIATH_COLOR} if goliath else {}))
    if pictures is None and options.size is None:
        options.notes.append(f"the cameras are those of pictures of {SIZE[0]}x{SIZE[1]}; give --size for smaller ones")
    more = {"masks": _masks(folder, pictures, "goliath" if goliath else "ava-256")}
    return content.content(folder.name, cameras, options, unit="mm", fps=30.0, pictures=pictures, **more)


def _masks(folder: Path, pictures: Pictures | None, labels: str) -> dict[str, Any] | None:
    if pictures is None:
        return None
    camera = next(iter(pictures.first))
    for pattern in ("cam{camera}.zip/cam{camera}/{frame}.png", "cam{camera}/{frame}.png"):
        path = f"{folder}/segmentation_parts/{pattern}"
        if files_of(path.replace("{camera}", camera)):
            return {"path": path, "labels": labels}
    return None


def _segment_frames(folder: Path, options: ImportOptions) -> set[int] | None:
    """The frame numbers of the segment `options.sequence`, by frame_list.csv (seg_id, frame_id); None for all."""
    if options.sequence is None:
        return None
    file = folder / "frame_list.csv"
    with damage_named(file, "a list of frames"):
        rows = list(csv.DictReader(read_text(file).splitlines()))
        found = {int(row["frame_id"]) for row in rows if row["seg_id"] == options.sequence}
    if not found:
        raise HeadfitError(f"{file}: no segment {options.sequence!r}")
    return found
