"""Reading what a place of capture.json's patterns holds: files, members of zip files, open videos."""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from headfit.capture.decode import DamagedFile, read_bytes
from headfit.capture.pattern import IMAGE_SUFFIXES, Numbering, Pattern, Place
from headfit.capture.video import Video
from headfit.files import one_line

#: Most bytes of a member of a zip file, which may claim any size.
MAX_MEMBER_BYTES = 1 << 30
#: Most videos whose decoders are kept: one for 4K takes 80 MiB. Opening takes a fifth of the time of a seek.
MAX_OPEN_VIDEOS = 16
#: In the order in which they are looked for.
_SUFFIXES = tuple(suffix for lower in IMAGE_SUFFIXES for suffix in (lower, lower.upper()))


class Storage:
    """Files, zip files and videos, each opened once. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zips: dict[Path, tuple[zipfile.ZipFile, frozenset[str]] | DamagedFile] = {}
        self._videos: dict[Path, Video] = {}

    def find(self, pattern: Pattern, camera: str, frame: int, numbering: Numbering) -> Place | None:
        """Where the thing of a camera and a frame is; None where it is not.

        A path without a known suffix may have that of any image. What is in a damaged zip counts as there: reading it
        raises DamagedFile.

        Args:
            pattern: the paths.
            camera: the camera's id.
            frame: index of the frame.
            numbering: of the camera's pictures.
        """
        place = pattern.place(camera, frame, numbering)
        if place is None or self._exists(place):
            return place
        return None if pattern.suffix else self._first_that_exists([_with_suffix(place, end) for end in _SUFFIXES])

    def read(self, place: Place) -> bytes:
        """The bytes of a file or of a member of a zip. Raises DamagedFile."""
        if place.member is None:
            return read_bytes(place.path)
        opened = self._zip(place.path)
        if isinstance(opened, DamagedFile):
            raise opened
        archive, _ = opened
        try:
            size = archive.getinfo(place.member).file_size
            if size > MAX_MEMBER_BYTES:
                raise DamagedFile(str(place), f"claims {size} bytes; more than {MAX_MEMBER_BYTES} are not read")
            return archive.read(place.member)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, KeyError) as error:
            raise DamagedFile(str(place), f"cannot be read from the zip ({one_line(error)})") from error
        except OSError as error:
            raise DamagedFile(str(place), f"cannot be read ({error.strerror})") from error

    def video(self, path: Path) -> Video:
        """The video in a file. Raises DamagedFile."""
        with self._lock:
            video = self._videos.pop(path, None) or Video(path)
            self._videos[path] = video  # the last one used is the last one
            for other in list(self._videos.values())[:-MAX_OPEN_VIDEOS]:
                other.close()
            return video

    def _exists(self, place: Place) -> bool:
        if place.member is None or not place.path.is_file():
            return place.member is None and place.path.is_file()
        opened = self._zip(place.path)
        return isinstance(opened, DamagedFile) or place.member in opened[1]

    def _first_that_exists(self, places: Sequence[Place]) -> Place | None:
        return next((place for place in places if self._exists(place)), None)

    def _zip(self, path: Path) -> tuple[zipfile.ZipFile, frozenset[str]] | DamagedFile:
        """An open zip and its members' names, or why it cannot be read."""
        with self._lock:
            if path not in self._zips:
                try:
                    archive = zipfile.ZipFile(path)
                    self._zips[path] = archive, frozenset(archive.namelist())
                except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
                    self._zips[path] = DamagedFile(path, f"cannot be read as a zip file ({one_line(error)})")
            return self._zips[path]


def _with_suffix(place: Place, suffix: str) -> Place:
    if place.member is not None:
        return Place(place.path, place.member + suffix)
    return Place(place.path.with_name(place.path.name + suffix))
