"""Some of a capture's frames and cameras, as they are chosen on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headfit.errors import HeadfitError, some_of


@dataclass(frozen=True)
class Selection:
    """Which frames and cameras of a capture are used.

    Attributes:
        frames: positions in its list of frames as START:STOP or START:STOP:STEP, STOP excluded; empty for all.
        cameras: ids with commas between them, in the order that they get; empty for all.
    """

    frames: str = ""
    cameras: str = ""

    def frame_indices(self, names: Sequence[str]) -> list[int]:
        """Indices of the chosen frames. Raises HeadfitError when `frames` is no range, or leaves none."""
        indices = range(len(names))[frame_slice(self.frames)]
        if not indices:
            raise HeadfitError(f"--frames {self.frames}: leaves none of the {len(names)} frames")
        return list(indices)

    def camera_indices(self, ids: Sequence[str]) -> list[int]:
        """Indices of the chosen cameras. Raises HeadfitError when one is unknown."""
        named = list(dict.fromkeys(name.strip() for name in self.cameras.split(",") if name.strip()))
        unknown = [name for name in named if name not in ids]
        if unknown:
            raise HeadfitError(f"--cameras: no camera {some_of(unknown)}; the cameras are {some_of(ids, 10)}")
        return [ids.index(name) for name in named or ids]


ALL = Selection()


def frame_slice(text: str) -> slice:
    """START:STOP or START:STOP:STEP as a slice; a number alone is one frame, nothing is all. Raises HeadfitError."""
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = [None] * 4
    if len(numbers) > 3 or (len(numbers) == 3 and numbers[2] is not None and numbers[2] <= 0):
        raise HeadfitError(f"--frames {text}: expected START:STOP or START:STOP:STEP, like 0:100:3")
    if len(numbers) > 1:
        return slice(*numbers)
    first = numbers[0]
    return slice(None) if first is None else slice(first, first + 1 or None)  # -1: the last one
