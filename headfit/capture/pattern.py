"""Path patterns of capture.json: where the files of every camera and frame are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from headfit.errors import HeadfitError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".exr")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
#: What is written in a pattern for a part that changes. `{frame:06d}` is the frame's number, with leading zeros.
PLACEHOLDERS = "{camera}, {frame}, {frame:06d}, {index}, {index:06d}"
_DIGITS = re.compile(r"(0?[1-9]\d?)?d")
_ZIP = re.compile(r"\.zip/", re.IGNORECASE)


@dataclass(frozen=True)
class Numbering:
    """How the pictures of a camera are counted: picture number = offset + step · (frame's number, or its index).

    Attributes:
        names: the frame names of the capture, in order.
        numbered: whether all of them are numbers, which then count instead of the index.
        offset, step: see above; the camera's own `offset` is added already.
    """

    names: list[str]
    numbered: bool
    offset: int = 0
    step: int = 1

    @property
    def _width(self) -> int:
        """Least number of digits in the files, by all names: where their lengths differ, they have no leading zeros."""
        lengths = {len(name) for name in self.names}
        padded = len(lengths) == 1 or any(name.startswith("0") for name in self.names)
        return min(lengths) if padded else 1

    @classmethod
    def of(cls, names: list[str], offset: int = 0, step: int = 1) -> Numbering:
        """The numbering for these frame names."""
        return cls(names, all(name.isascii() and name.isdigit() for name in names), offset, step)

    def picture(self, frame: int) -> int:
        """The picture number of the frame at this index. It may be negative where a camera began late."""
        return self.offset + self.step * (int(self.names[frame]) if self.numbered else frame)

    def name(self, frame: int) -> str | None:
        """The name in the files of the frame at this index; None where the camera has none."""
        if self.offset == 0 and self.step == 1:
            return self.names[frame]
        picture = self.picture(frame)
        if self.numbered:
            own, digits = self.names[frame], str(picture)
            if picture < 0 or len(digits) >= len(own):
                return None if picture < 0 else digits
            return digits.zfill(len(own) if own.startswith("0") else self._width)
        return self.names[picture] if 0 <= picture < len(self.names) else None


@dataclass(frozen=True)
class Place:
    """Where one thing is stored: a file, a member of a zip file, or a picture of a video.

    Attributes:
        path: the file.
        member: its member, when the file is a zip.
        picture: the picture's number, from 0, when the file is a video.
    """

    path: Path
    member: str | None = None
    picture: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"


@dataclass(frozen=True)
class Pattern:
    """A path with placeholders, relative to `folder` unless it is absolute."""

    folder: Path
    text: str

    @classmethod
    def parse(cls, folder: Path, text: str, numbered: bool) -> Pattern:
        """The pattern that is written as `text`.

        Args:
            folder: what it is relative to.
            text: see `PLACEHOLDERS`; braces of a path are doubled.
            numbered: whether the frame names are numbers.

        Raises:
            HeadfitError: a video in a zip, an unknown placeholder, or the number of frames whose names are none.
        """
        if _ZIP.search(text) and Path(text).suffix.lower() in VIDEO_SUFFIXES:
            raise HeadfitError("a video inside a zip file cannot be read: unpack it")
        try:
            parts = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
        except ValueError as error:
            raise HeadfitError(f"not a pattern ({error}); braces of a path are doubled") from None
        for name, form, conversion in parts:
            if name not in ("camera", "frame", "index") or conversion or (form and not _DIGITS.fullmatch(form)):
                raise HeadfitError(f"unknown placeholder {{{name}{form and ':' + form}}}, expected {PLACEHOLDERS}")
            if form and name == "camera":
                raise HeadfitError("{camera} is a name and takes no number format")
            if form and name == "frame" and not numbered:
                raise HeadfitError(
                    "the frames have no numbers for {frame:...}: use {frame}, or {index} for the position"
                )
        return cls(folder, text)

    @property
    def suffix(self) -> str:
        """The suffix of its files in lower case; empty where it names none that is known for images or videos."""
        suffix = Path(self.text).suffix.lower()
        return suffix if suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) else ""

    @property
    def is_video(self) -> bool:
        """Whether its files are videos."""
        return self.suffix in VIDEO_SUFFIXES

    def __str__(self) -> str:
        return self.text

    def place(self, camera: str, frame: int, numbering: Numbering) -> Place | None:
        """Where the thing of a camera and a frame is, if it is there; None where the numbering has no such picture.

        Args:
            camera: the camera's id.
            frame: index of the frame.
            numbering: of the camera's pictures.
        """
        name, picture = numbering.name(frame), numbering.picture(frame)
        if picture < 0 or (name is None and "{frame" in self.text):
            return None
        index = numbering.offset + numbering.step * frame
        text = Formatter().vformat(self.text, (), _values(camera, name or "", picture, index))
        zipped = _ZIP.search(text)
        if zipped:
            return Place(self.folder / text[: zipped.end() - 1], text[zipped.end() :])
        return Place(self.folder / text, None, picture if self.is_video else None)


class _FrameName(str):
    """A frame's name, which a number format turns into its number."""

    number: int

    def __format__(self, form: str) -> str:
        return format(self.number, form) if form else str(self)


def _values(camera: str, name: str, picture: int, index: int) -> dict[str, object]:
    frame = _FrameName(name)
    frame.number = picture
    return {"camera": camera, "frame": frame, "index": index}
