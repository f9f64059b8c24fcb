"""Where a recording's pictures are: the pattern that fits, the frames that are there, and the sizes of the pictures."""

from __future__ import annotations

import glob
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image

from headfit.capture.layouts.options import ImportOptions
from headfit.errors import HeadfitError
from headfit.files import one_line

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".bmp", ".exr")
RAW_SUFFIXES = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".rw2", ".orf")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm")
#: Cameras whose files are listed to find the frames: some drop a few, hardly all of them the same.
LISTED_CAMERAS = 8
#: Where pictures are, as seen from the calibration that names them.
IMAGE_FOLDERS = (".", "images", "photos", "input", "..", "../images", "../../images", "../../../images")
ZIP_PART = ".zip/"
#: What changes in a pattern.
PLACEHOLDER = re.compile(r"(\{(?:camera|frame|index)(?::[^}]*)?\})")


@dataclass(frozen=True)
class Pictures:
    """The pictures of a recording.

    pattern: absolute, with {camera}, and {frame} unless it is a video; empty for stills, of which `first` has all.
    frames: their names, in order. first: by camera the first picture (or the video) that is there.
    """

    pattern: str
    frames: list[str]
    first: dict[str, str]

    def size(self, camera: str) -> tuple[int, int] | None:
        """Width and height of a camera's pictures as stored, from the first one's header; None where there is none."""
        return picture_size(self.first[camera]) if camera in self.first else None


def find_pictures(
    patterns: Iterable[str], cameras: Sequence[str], options: ImportOptions, folder: Path
) -> Pictures | None:
    """The pictures of the first pattern under which some camera has any; None where there are none.

    Args:
        patterns: absolute, in order of preference. The suffix may be missing.
        cameras: ids.
        options: `images` replaces the patterns, and there must be pictures then; `selection` chooses frames.
        folder: to which `options.images` is relative.

    Raises:
        HeadfitError: `options.images` finds nothing, or `options.selection` leaves no frame.
    """
    given = options.images
    for pattern in [str(folder / given)] if given else patterns:
        first: dict[str, str] = {}
        frames: set[str] = set()
        for number, camera in enumerate(cameras):
            found = files_of(pattern.replace("{camera}", camera))
            if not found:
                continue
            name, path = next(iter(found.items()))
            first[camera] = path
            if number < LISTED_CAMERAS or len(first) == 1:
                frames |= _video_frames(path) if name is None else {frame for frame in found if frame is not None}
        if first:
            names = sorted(frames, key=natural_order)
            chosen = [names[index] for index in options.selection.frame_indices(names)]
            return Pictures(pattern, chosen, first)
    if given:
        raise HeadfitError(f"--images {given}: no pictures of {', '.join(cameras[:3])}... at {folder / given}")
    return None


def files_of(pattern: str) -> dict[str | None, str]:
    """By frame name (None for a video or a single picture) the files of a pattern without {camera}, in order."""
    parts = PLACEHOLDER.split(pattern)
    has_suffix = Path(pattern).suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    end = "" if has_suffix else "(?:" + "|".join(map(re.escape, IMAGE_SUFFIXES)) + ")"
    expression, seen = "", False
    for part in parts:
        if PLACEHOLDER.fullmatch(part):
            expression += r"(?P=frame)" if seen else r"(?P<frame>[^/]+?)"
            seen = True
        else:
            expression += re.escape(part)
    matcher = re.compile(expression + end, re.IGNORECASE)
    found: dict[str | None, str] = {}
    for path in _candidates(parts, has_suffix):
        match = matcher.fullmatch(path)
        if match:
            found.setdefault(match["frame"] if seen else None, path)
    return dict(sorted(found.items(), key=lambda item: natural_order(item[0] or "")))


def _candidates(parts: Sequence[str], has_suffix: bool) -> list[str]:
    whole = "".join(parts)
    if ZIP_PART in whole.lower():
        archive = Path(whole[: whole.lower().index(ZIP_PART) + len(ZIP_PART) - 1])
        if not archive.is_file():
            return []
        try:
            with zipfile.ZipFile(archive) as opened:
                return [f"{archive}/{name}" for name in opened.namelist()]
        except (OSError, zipfile.BadZipFile) as error:
            raise HeadfitError(f"{archive}: cannot be read as a zip file ({one_line(error)})") from error
    text = "".join("*" if PLACEHOLDER.fullmatch(part) else glob.escape(part) for part in parts)
    return glob.glob(text if has_suffix else text + ".*")


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 2 before 10."""
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def _video_frames(path: str) -> set[str]:
    """Names of the frames of a video; of a single picture, one."""
    if Path(path).suffix.lower() not in VIDEO_SUFFIXES:
        return {"000000"}
    stream = cv2.VideoCapture(path)
    count = int(stream.get(cv2.CAP_PROP_FRAME_COUNT)) if stream.isOpened() else 0
    if count <= 0:
        raise HeadfitError(f"{path}: the video cannot be opened, or does not say how many pictures it has")
    return {f"{index:06d}" for index in range(count)}


def picture_size(path: str) -> tuple[int, int] | None:
    """Width and height of a picture, a video, or a member of a zip file, as stored; None where it cannot be told."""
    try:
        if Path(path).suffix.lower() in VIDEO_SUFFIXES:
            stream = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
            stream.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
            size = (int(stream.get(cv2.CAP_PROP_FRAME_WIDTH)), int(stream.get(cv2.CAP_PROP_FRAME_HEIGHT)))
            return size if all(size) else None
        if ZIP_PART in path.lower():
            cut = path.lower().index(ZIP_PART) + len(ZIP_PART) - 1
            with (
                zipfile.ZipFile(path[:cut]) as archive,
                archive.open(path[cut + 1 :]) as file,
                Image.open(file) as image,
            ):
                return image.size
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def named_pictures(paths: Sequence[Path], base: Path, options: ImportOptions) -> tuple[list[str], Pictures | None]:
    """Cameras with one picture each.

    Args:
        paths: the pictures as a calibration names them, relative or absolute, of this machine or another.
        base: the calibration's folder.
        options: `images` says where the pictures are; else they are looked for in the usual places.

    Returns:
        An id for each: the name without suffix, or with its folders where that is not unique. The pictures that are
        there; None where none is.
    """
    known = (*IMAGE_SUFFIXES, *RAW_SUFFIXES)
    stems = [path.stem if path.suffix.lower() in known else path.name for path in paths]
    if len(set(stems)) < len(stems):
        stems = ["_".join((*path.parts[-3:-1], stem)).strip("/") for path, stem in zip(paths, stems, strict=True)]
    if len(set(stems)) < len(stems):
        stems = [f"{index:03d}_{stem}" for index, stem in enumerate(stems)]
    if options.images:
        return stems, find_pictures([], stems, options, base)
    first = {}
    for stem, path in zip(stems, paths, strict=True):
        tried = [base / folder / part for part in dict.fromkeys((path, Path(path.name))) for folder in IMAGE_FOLDERS]
        found = next((there for at in tried if (there := _existing(at))), None)
        if found:
            first[stem] = str(found)
    return stems, Pictures("", ["000000"], first) if first else None


def _existing(path: Path) -> Path | None:
    """The file, or one of the same name in another format: calibrations name raw pictures, or none at all."""
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return path
    bare = path.with_suffix("") if path.suffix.lower() in (*IMAGE_SUFFIXES, *RAW_SUFFIXES) else path
    suffixes = (suffix for lower in IMAGE_SUFFIXES for suffix in (lower, lower.upper()))
    return next((same for suffix in suffixes if (same := bare.with_name(bare.name + suffix)).is_file()), None)


def numbered_pattern(records: Sequence[tuple[int, int, str]]) -> tuple[str, dict[int, str], dict[int, str]] | None:
    """The pattern of files that are named by the numbers of a camera and a frame.

    Args:
        records: number of the camera, number of the frame, path.

    Returns:
        The pattern with {camera} and {frame}, and the text of each camera's and each frame's number in it; None where
        the names follow no such pattern.
    """
    split = [re.split(r"(\d+)", path) for _, _, path in records]
    width = len(split[0])
    if any(len(parts) != width for parts in split):
        return None

    def places(column: int) -> list[int]:
        return [
            place
            for place in range(width - 2, 0, -2)
            if all(int(parts[place]) == record[column] for parts, record in zip(split, records, strict=True))
        ]

    for camera_place in places(0):
        for frame_place in places(1):
            rest = {
                tuple(part for place, part in enumerate(parts) if place not in (camera_place, frame_place))
                for parts in split
            }
            if camera_place != frame_place and len(rest) == 1:
                pattern = list(split[0])
                pattern[camera_place], pattern[frame_place] = "{camera}", "{frame}"
                cameras = {record[0]: parts[camera_place] for record, parts in zip(records, split, strict=True)}
                frames = {record[1]: parts[frame_place] for record, parts in zip(records, split, strict=True)}
                return "".join(pattern), cameras, frames
    return None
