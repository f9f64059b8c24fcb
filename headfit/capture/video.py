"""Pictures of a video file in any order, each exactly the one that was asked for."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from headfit.capture.decode import MAX_PIXELS, DamagedFile
from headfit.files import one_line

#: From this height on, a video that does not say how its colors are coded is taken for ITU-R BT.709, else for BT.601,
#: as players do.
_HD_HEIGHT = 720
_UNSPECIFIED = 2  # of ITU-T H.273, table 4
#: What PyAV raises for damaged files; EOFError where a file ends.
_FAULTS = (av.FFmpegError, OSError, EOFError, ValueError, LookupError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class _Index:
    """When the pictures are shown, and from where they can be decoded.

    Attributes:
        times: time stamps of the pictures, in the order in which they are shown.
        keys: positions in `times` of the pictures from which decoding can start.
    """

    times: list[int]
    keys: list[int]


class Video:
    """A video that is opened once and read in any order; safe to share between threads.

    Picture i is the i-th that a player shows. The packets' time stamps are read once (without decoding), sorted, and
    every decoded picture is identified by its own: so pictures stored out of order, a variable rate and inexact seeks
    do no harm. Decoding starts at the last key picture before the one that is asked for.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._is_open = False
        self._open()
        self._index = self._read_index()
        self._open()

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Picture `index` as RGB `[H,W,3]` uint8, as stored: a rotation in the file is not applied. Raises DamagedFile
        when the video ends before it, or is damaged there."""
        with self._lock:
            if not self._is_open:
                self._open()
            frame = self._decoded(index)
            if frame is None:
                self._open()
                raise DamagedFile(self.path, f"no picture {index} in the video: it is shorter, or damaged there")
            try:
                return self._rgb(frame)
            except _FAULTS as error:
                raise DamagedFile(self.path, f"picture {index} cannot become RGB ({one_line(error)})") from error

    def turn(self) -> int:
        """Degrees by which a player turns the pictures clockwise."""
        with self._lock:
            if not self._is_open:
                self._open()
            frame = self._decoded(0)
        return 0 if frame is None else -frame.rotation % 360

    def close(self) -> None:
        """Free the decoder's memory; the next picture opens the file again."""
        with self._lock:
            self._close()

    def _open(self) -> None:
        """Start from the beginning."""
        self._close()
        try:
            self._container = av.open(str(self.path), metadata_errors="replace")
            self._stream = self._container.streams.video[0]
        except _FAULTS as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise DamagedFile(self.path, f"the video cannot be opened ({reason})") from error
        self._is_open = True
        if self._stream.codec_context is None:
            raise DamagedFile(self.path, "the video cannot be opened (its codec is not known)")
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise DamagedFile(self.path, f"claims {width}x{height} pixels; more than {MAX_PIXELS} are not decoded")
        self._frames: Iterator[av.VideoFrame] = self._container.decode(self._stream)
        self._next = 0

    def _close(self) -> None:
        if self._is_open:
            self._container.close()
        self._is_open = False

    def _read_index(self) -> _Index | None:
        """The index; None where the file has no time stamps, or the same twice."""
        packets: list[tuple[int, bool]] = []
        try:
            for packet in self._container.demux(self._stream):
                if packet.size and not packet.is_discard:
                    if packet.pts is None:
                        return None
                    packets.append((packet.pts, packet.is_keyframe))
        except _FAULTS:
            pass  # damaged from here on: what was read so far can be decoded
        packets.sort()
        times = [time for time, _ in packets]
        if len(set(times)) < len(times):
            return None
        return _Index(times, [position for position, (_, is_key) in enumerate(packets) if is_key])

    def _decoded(self, picture: int) -> av.VideoFrame | None:
        if self._index is None:
            if picture < self._next:
                self._open()
            return self._after(picture - self._next)
        if not 0 <= picture < len(self._index.times):
            return None
        time, key = self._index.times[picture], bisect.bisect_right(self._index.keys, picture) - 1
        start = self._index.keys[key] if key >= 0 else 0
        frame = self._shown_at(time) if start <= self._next <= picture else None
        for back in (key, key - 1):  # the pictures after a key may refer to those before it
            if frame is None and back >= 0:
                self._seek(self._index.times[self._index.keys[back]])
                frame = self._shown_at(time)
        if frame is None:
            self._open()
            frame = self._shown_at(time)
        self._next = picture + 1
        return frame

    def _seek(self, time: int) -> None:
        try:
            self._container.seek(time, stream=self._stream, backward=True, any_frame=False)
            self._frames = self._container.decode(self._stream)
        except _FAULTS:
            self._open()

    def _shown_at(self, time: int) -> av.VideoFrame | None:
        """The picture with this time stamp, decoding forwards; None where it does not come."""
        try:
            for frame in self._frames:
                if frame.pts is not None and frame.pts >= time:
                    return frame if frame.pts == time else None
        except _FAULTS:
            pass
        return None

    def _after(self, count: int) -> av.VideoFrame | None:
        """The picture after the next `count`."""
        try:
            for frame in self._frames:
                self._next += 1
                if not count:
                    return frame
                count -= 1
        except _FAULTS:
            pass
        return None

    @staticmethod
    def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
        guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        source = guess if frame.colorspace == _UNSPECIFIED else None
        return np.asarray(frame.to_ndarray(format="rgb24", src_colorspace=source), dtype=np.uint8)
