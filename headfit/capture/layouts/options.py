"""What the user says about a recording where its files do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headfit.capture.selection import frame_slice
from headfit.errors import HeadfitError, some_of


@dataclass
class ImportOptions:
    """The options of `headfit import`, and what the reader has to say.

    Attributes:
        size: width and height, pixels, of the pictures, where neither the file nor a picture says it.
        scale: metres per unit of the recording's coordinates.
        images: pattern of the pictures, relative to the source, with {camera} and {frame}; or of one video per camera.
        subject, sequence: which one, where the source holds several.
        frames: A:B:STEP, like a slice of Python: which of the frames found, or which pictures of videos.
        cameras: ids of the cameras to keep.
        focal: focal length in pixels, where the file has only poses.
        notes: filled by the reader: what it assumed, and what it left out. One sentence each.
        arbitrary_unit: set by the reader: nobody knows how many metres a unit of the coordinates is.
    """

    size: tuple[int, int] | None = None
    scale: float | None = None
    images: str | None = None
    subject: str | None = None
    sequence: str | None = None
    frames: str | None = None
    cameras: Sequence[str] | None = None
    focal: float | None = None
    notes: list[str] = field(default_factory=list)
    arbitrary_unit: bool = False

    def chosen(self, cameras: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The camera entries named by `cameras`, all by default. Raises HeadfitError for an id that is not there."""
        if self.cameras is None:
            return cameras
        known = [camera["id"] for camera in cameras]
        unknown = [name for name in self.cameras if name not in known]
        if unknown:
            raise HeadfitError(f"no camera {some_of(unknown)}; the cameras are {some_of(known, 10)}")
        return [camera for camera in cameras if camera["id"] in self.cameras]

    def frame_slice(self) -> slice:
        """`frames` as a slice. Raises HeadfitError when it is none."""
        return frame_slice(self.frames or "")

    def unscaled(self) -> None:
        """Note that the layout's unit is arbitrary, unless `scale` says what it is."""
        if self.scale is None:
            self.arbitrary_unit = True
            self.notes.append("the unit of this layout is arbitrary and was taken for a metre: give --scale")
