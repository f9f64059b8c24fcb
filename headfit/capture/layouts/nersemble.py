"""NeRSemble (T. Kirschstein et al., SIGGRAPH 2023): versions 1 and 2, its benchmark, and rigs written down like it.

`camera_params.json` holds `world_2_cam` {serial: 4x4} (OpenCV axes, metres) and `intrinsics`, one 3x3 for all cameras
or {serial: 3x3}; as a rule not the picture size for which they hold, and no lens. Pixels are taken from the corner:
VHAP scales K with the pictures, which is right for that origin only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import VIDEO_SUFFIXES, Pictures, files_of, find_pictures
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, read_json

FILE = "camera_params.json"
HINT = " (2200x3208 for NeRSemble as it was released, 1100x1604 for its benchmark)"


def recognise(source: Path) -> bool:
    """Whether `source` is camera_params.json or a folder that belongs to one."""
    if source.is_file():
        return source.suffix == ".json" and b'"world_2_cam"' in source.read_bytes()
    return any(_calibrations(source, ImportOptions()))


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: camera_params.json, or the folder of a sequence, a subject or all."""
    file = _calibration(source, options)
    values = read_json(file)
    with damage_named(file, "NeRSemble's calibration"):
        poses, intrinsics = values["world_2_cam"], values["intrinsics"]
        stated = (int(float(values["width"])), int(float(values["height"]))) if "width" in values else None
        known = [n for n in poses if not isinstance(intrinsics, dict) or n in intrinsics]
        sequence = _sequence(source, file, options)
        pictures = find_pictures(_patterns(sequence), known, options, sequence or file.parent)
        cameras = []
        for name in content.with_pictures(known, pictures, options):
            K = entries.numbers(intrinsics[name] if isinstance(intrinsics, dict) else intrinsics, 3, 3)
            found = pictures.size(name) if pictures else None
            size = stated or (content.size_by_principal_point(K, found) if found else None)
            size = size or content.calibrated_size(options, str(file), HINT)
            pose = entries.numbers(poses[name])[:12].reshape(3, 4)
            R, _ = entries.rotation(pose[:, :3])
            cameras.append(content.fitted(entries.camera(name, size, K, R, pose[:, 3]), pictures, options))
    if not isinstance(intrinsics, dict):  # the benchmark's pictures are corrected already
        cameras = [camera | _colour(file, camera["id"]) for camera in cameras]
    return content.content(
        sequence.name if sequence else file.parent.name,
        cameras,
        options,
        fps=_fps(pictures),
        pictures=pictures,
        masks=_masks(pictures),
    )


def _calibrations(source: Path, options: ImportOptions) -> Iterator[Path]:
    """Calibrations in `source`, or else next to a folder above it (it is a sequence, or a subject of version 1)."""
    subject = options.subject or "*"
    yield from sorted(source.glob(FILE))
    yield from sorted(source.glob(f"calibration/{FILE}"))
    yield from sorted(source.glob(f"camera_params/{subject}/{FILE}"))
    yield from sorted(source.glob(f"{subject}/calibration/{FILE}"))
    names = source.absolute().parts
    for depth, folder in enumerate(source.absolute().parents[:3], start=1):
        yield from (folder / "camera_params").glob(f"{names[-depth]}/{FILE}")
        yield from folder.glob(f"calibration/{FILE}")


def _calibration(source: Path, options: ImportOptions) -> Path:
    if source.is_file():
        return source
    found = list(dict.fromkeys(_calibrations(source, options)))
    if not found:
        raise HeadfitError(f"{source}: no {FILE} in it, in its calibration/ or camera_params/<subject>/, or above it")
    subjects = [_subject(path) for path in found if path.is_relative_to(source)]
    if len(subjects) > 1:
        raise HeadfitError(f"{source}: several subjects; choose one with --subject: {some_of(subjects, 10)}")
    return found[0]


def _subject(file: Path) -> str:
    return file.parent.parent.name if file.parent.name == "calibration" else file.parent.name


def _sequence(source: Path, file: Path, options: ImportOptions) -> Path | None:
    """The folder of the take: `source` where it is one, else the only one of the subject, or the one named."""
    if source.is_dir() and _is_take(source):
        return source
    subject = file.parent
    if file.parent.name == "calibration":
        subject = file.parent.parent
    elif file.parent.parent.name == "camera_params":
        subject = file.parent.parent.parent / file.parent.name
    root = subject / "sequences" if (subject / "sequences").is_dir() else subject
    if options.sequence:
        if not (root / options.sequence).is_dir():
            raise HeadfitError(f"{root / options.sequence}: no such sequence")
        return root / options.sequence
    if _is_take(root):
        return root
    takes = sorted(folder for folder in root.glob("*") if folder.is_dir() and _is_take(folder))
    if len(takes) > 1:
        names = some_of([folder.name for folder in takes], 10)
        raise HeadfitError(f"{root}: several sequences; choose one with --sequence: {names}")
    return takes[0] if takes else None


def _is_take(folder: Path) -> bool:
    return any(next(folder.glob(name), None) for name in ("images*", "cam_*.mp4", "frame_*", "timesteps"))


def _patterns(sequence: Path | None) -> list[str]:
    if sequence is None:
        return []
    patterns = []
    for folder in sorted(sequence.glob("images*")):
        names = ("cam_{camera}_{frame}", "cam_{camera}.mp4", "{camera}/{frame}", "{camera}_{frame}", "{camera}.mp4")
        patterns += [f"{folder}/{name}" for name in names]
    for root in (sequence, sequence / "timesteps"):
        for frame in sorted(root.glob("frame_*"))[:1]:
            patterns += [f"{root}/frame_{{frame}}/{p.name}/cam_{{camera}}" for p in sorted(frame.glob("images*"))]
    return [*patterns, f"{sequence}/cam_{{camera}}.mp4"]


def _masks(pictures: Pictures | None) -> dict[str, Any] | None:
    """Alpha maps next to the pictures: a matte, which knows background only."""
    if pictures is None:
        return None
    folder = re.search(r"/(images[^/]*)/", pictures.pattern)
    if folder is None:
        return None
    camera = next(iter(pictures.first))
    start, end = pictures.pattern[: folder.start(1)], str(Path(pictures.pattern[folder.end(1) :]).with_suffix(""))
    for name in ("alpha_maps", "alpha_map", folder[1].replace("images", "alpha_map"), "alpha_map-73fps"):
        for suffix in ("", ".mp4"):
            pattern = f"{start}{name}{end}{suffix}"
            if files_of(pattern.replace("{camera}", camera).replace("{frame}", pictures.frames[0])):
                return {"path": pattern, "labels": "matte"}
    return None


def _colour(file: Path, serial: str) -> dict[str, Any]:
    """The colour correction of a camera. Version 1 has `rgb_row @ A[:, :3] + A[:, 3]`, so its matrix is transposed;
    version 2 a matrix of Cheung's augmented terms in linear light."""
    affine = file.parent.parent.parent / "color_correction" / file.parent.name / f"{serial}.npy"
    if affine.is_file():
        with damage_named(affine, "a colour correction"):
            A = np.load(affine, allow_pickle=False).reshape(3, 4)
            return {"color": [{"affine": np.c_[A[:, :3].T, A[:, 3]].tolist()}]}
    matrices = file.parent / "color_calibration.json"
    if file.parent.name == "calibration" and matrices.is_file():
        values = read_json(matrices)
        with damage_named(matrices, "colour corrections"):
            return {"color": [{"ccm": np.array(values[serial], dtype=float).tolist()}]} if serial in values else {}
    return {}


def _fps(pictures: Pictures | None) -> float:
    """Frames per second: the video's, or what the folder's name says; 25 where VHAP extracted pictures."""
    if pictures is None:
        return 73.0
    if Path(pictures.pattern).suffix in VIDEO_SUFFIXES:
        return float(cv2.VideoCapture(next(iter(pictures.first.values()))).get(cv2.CAP_PROP_FPS)) or 73.0
    named = re.search(r"(\d+)fps", pictures.pattern)
    return float(named[1]) if named else 25.0
