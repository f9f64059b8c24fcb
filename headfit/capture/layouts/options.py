"""What the user says about a recording where its files do not."""

from __future__ import annotations

from dataclasses import dataclass, field

from headfit.capture.selection import ALL, Selection


@dataclass
class ImportOptions:
    """The options of `headfit import`, and what the reader has to say.

    Attributes:
        size: width and height, pixels, of the pictures, where neither the file nor a picture says it.
        scale: metres per unit of the recording's coordinates.
        images: pattern of the pictures, relative to the source, with {camera} and {frame}; or of one video per camera.
        subject, sequence: which one, where the source holds several.
        selection: which of the cameras, and which of the frames that are found.
        focal: focal length in pixels, where the file has only poses.
        notes: filled by the reader: what it assumed, and what it left out. One sentence each.
        arbitrary_unit: set by the reader: nobody knows how many metres a unit of the coordinates is.
    """

    size: tuple[int, int] | None = None
    scale: float | None = None
    images: str | None = None
    subject: str | None = None
    sequence: str | None = None
    selection: Selection = ALL
    focal: float | None = None
    notes: list[str] = field(default_factory=list)
    arbitrary_unit: bool = False

    def unscaled(self) -> None:
        """Note that the layout's unit is arbitrary, unless `scale` says what it is."""
        if self.scale is None:
            self.arbitrary_unit = True
            self.notes.append("the unit of this layout is arbitrary and was taken for a metre: give --scale")
