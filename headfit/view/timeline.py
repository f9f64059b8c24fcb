"""The time line: a slider over the frames, and playing them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import viser

#: The frame rate of playing where a capture states none, and the fastest.
USUAL_FPS, FASTEST_FPS = 12.0, 60.0


def frame_at(start: int, seconds: float, fps: float, count: int) -> int:
    """The frame that is shown `seconds` after `start` was, in an endless loop over `count` frames."""
    return (start + int(seconds * fps)) % count


class Timeline:
    """Controls of the time line.

    Args:
        gui: where they are added.
        names: names of the frames.
        fps: frames per second of the capture.
        changed: called when another frame is wanted.
    """

    def __init__(self, gui: viser.GuiApi, names: Sequence[str], fps: float, changed: Callable[[Any], None]) -> None:
        self._names = list(names)
        self._changed = changed
        self._started: tuple[float, int] | None = None  # when playing began, and at which frame
        self._due = 0.0  # when the next frame is to be shown
        last = max(len(names) - 1, 1)
        self._slider: Any = gui.add_slider("Frame", 0, last, 1, 0, disabled=len(names) < 2)
        self._name: Any = gui.add_text("Name", self._names[0], disabled=True)
        self._play = gui.add_button("Play", disabled=len(names) < 2)
        rate = min(fps if fps > 0 else USUAL_FPS, FASTEST_FPS)
        self._rate = gui.add_slider("Frames/s", 1.0, FASTEST_FPS, 0.5, round(rate * 2) / 2)
        self._slider.on_update(self._moved)
        self._play.on_click(self._toggled)
        self._rate.on_update(self._restart)

    @property
    def frame(self) -> int:
        """Index of the frame that is shown."""
        return min(int(self._slider.value), len(self._names) - 1)

    @property
    def is_playing(self) -> bool:
        """Whether frames follow each other by themselves."""
        return self._started is not None

    def pause(self) -> float | None:
        """Seconds until the next frame is due; None unless it is playing."""
        if self._started is None:
            return None
        return max(0.0, self._due - time.monotonic())

    def advance(self) -> None:
        """While playing, go to the frame that is due now; frames that nobody had time for are left out."""
        started, rate = self._started, self._rate.value
        if started is not None:
            since, first = started
            seconds = time.monotonic() - since
            self._due = since + (int(seconds * rate) + 1) / rate
            self._slider.value = frame_at(first, seconds, rate, len(self._names))
        # No name while playing: a new one costs the browser as much as the slider.
        name = "" if started is not None else self._names[self.frame]
        if self._name.value != name:
            self._name.value = name

    def _moved(self, event: Any) -> None:
        if event.client is not None:  # by hand, not by `advance`
            self._restart(event)
            self._changed(event)

    def _toggled(self, event: Any) -> None:
        if self.is_playing:
            self._started = None
        else:
            self._start()
        self._changed(event)
        self._play.label = "Pause" if self.is_playing else "Play"

    def _restart(self, _event: Any) -> None:
        if self.is_playing:
            self._start()

    def _start(self) -> None:
        now = time.monotonic()
        self._started, self._due = (now, self.frame), now + 1 / self._rate.value
