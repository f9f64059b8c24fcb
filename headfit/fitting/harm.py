"""What a stage made worse, by figures of the face before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What a stage may add to a distance: so many millimetres, or this share of it. What it may take off an IoU.
#: Detectors err alike in all views: MediaPipe's noses, eyes and lips, triangulated with true cameras, were 3 to 4.5 mm
#: from the true ones on a rendered person. A nose that was lost moved by 4 mm in one stage.
ALLOWED_MM, ALLOWED_SHARE, ALLOWED_IOU = 3.0, 0.5, 0.1
#: IoU from which a part has been found: one that was not there cannot be lost.
FOUND_IOU = 0.7
#: What follows the part in a figure's name, and what the figure is.
MM, IOU = "_mm", "_iou"
MEANING = {MM: "mm from the landmarks", IOU: "IoU with the masks"}


@dataclass(frozen=True)
class Harm:
    """The figure that a stage made worst.

    Args:
        stage: its name.
        figure: `nose_mm`, `eyes_iou`, ...: see `FaceEvidence.measure`.
        before, after: its values before and after the stage.
        extent: how much worse it became, as a multiple of what is allowed.
        repeated: whether the stage was done again; else this is the best of its attempts.
        undone: whether that one was not kept either, but the face as it was before the stage.
    """

    stage: str
    figure: str
    before: float
    after: float
    extent: float
    repeated: bool
    undone: bool = False

    @property
    def part(self) -> str:
        """The part of the face."""
        return self.figure.rpartition("_")[0]

    def __str__(self) -> str:
        unit = self.figure.removeprefix(self.part)
        kept = "the stage is undone" if self.undone else "the best try is kept"
        done = "done again with half the rates" if self.repeated else f"smaller steps did not help, {kept}"
        change = f"from {self.before:.2f} to {self.after:.2f} {MEANING[unit]}"
        return f"stage {self.stage} made the {self.part} worse, {change}: {done}"


def worst_change(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[str, float]:
    """The figure that became worst, and its extent (see `Harm`): above 1, the face was harmed. ("", 0) where none did.

    Distances of some millimetres are errors of the landmarks, and so are some pixels of a small part that does not lie
    right yet: the eyes of a mean head slide in and out of their masks while it finds its pose. So a distance must grow
    by more than both bounds, and only a part that was found is compared with its masks.
    """
    worst = ("", 0.0)
    for name in before:
        if name not in after or (name.endswith(IOU) and before[name] < FOUND_IOU):
            continue
        change = after[name] - before[name]
        share = change / max(before[name], 1e-6) / ALLOWED_SHARE
        extent = -change / ALLOWED_IOU if name.endswith(IOU) else min(change / ALLOWED_MM, share)
        if extent > worst[1]:
            worst = (name, extent)
    return worst
