"""Frames of a video file in any order, each exactly the frame that was asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.decode import DamagedFile


class Video:
    """A video that is opened once and read in any order; safe to share between threads.

    Reading forwards is cheapest. For anything else the decoder seeks, and the position that it reports afterwards is
    checked: seeks are not exact for every codec, and a fit to the neighbouring frame would go unnoticed.
    """

    #: Skipping this many frames costs less than a seek, which decodes from the last key frame.
    MAX_SKIP = 8

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._stream = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        # Pixels as stored: calibrations do not account for a rotation flag in the container.
        self._stream.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        if not self._stream.isOpened():
            raise DamagedFile(self.path, "the video cannot be opened")
        self._next = 0

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Frame `index` as RGB `[H,W,3]` uint8. Raises DamagedFile when the video ends before it."""
        with self._lock:
            self._go_to(index)
            complete, pixels = self._stream.read()
            if not complete:
                self._open()
                raise DamagedFile(self.path, f"no frame {index} in the video: it is shorter, or damaged there")
            self._next = index + 1
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def _go_to(self, index: int) -> None:
        if not self._next <= index <= self._next + self.MAX_SKIP:
            self._stream.set(cv2.CAP_PROP_POS_FRAMES, index)
            self._next = int(self._stream.get(cv2.CAP_PROP_POS_FRAMES))
            if self._next != index:
                self._open()
        while self._next < index and self._stream.grab():
            self._next += 1
