"""One line about a finished fit: `good`, `look at ...`, or `failed: ...`.

Ratios between views cannot tell that all of them are wrong, so a verdict has absolute limits. They are far from what
an honest fit reaches (head IoU above 0.9, landmarks within 3 % of the head's size), so that hair outside the model, a
coarse mask or a quick fit does not fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headfit.fitting.face_groups import FAR_MM
from headfit.fitting.harm import Harm
from headfit.types import Float

GOOD = "good"
FAILED = "failed: "
#: IoU of the rendered head with the masks' head: the median over views below which a fit has failed, or is suspect;
#: the IoU below which a view does not overlap, and the least share of views that do.
MIN_IOU, LOW_IOU, NO_OVERLAP, MIN_OVERLAPPING = 0.5, 0.75, 0.1, 0.5
#: The same for the landmarks' reprojection error, as a share of the head's size: median over views.
MAX_LANDMARK_ERROR, HIGH_LANDMARK_ERROR = 0.25, 0.08


@dataclass(frozen=True)
class Floor:
    """How well the model explains the evidence, in absolute terms; None where there is nothing to compare.

    head_iou: intersection over union of the rendered head and the masks' head, median over views.
    overlapping: share of the views with a head in model or mask in which the two overlap.
    landmark_error: distance of the projected landmarks from the given ones relative to the head's size, median over
        points of a view and over views.
    """

    head_iou: float | None
    overlapping: float | None
    landmark_error: float | None


def measure_floor(head_iou: Float, landmark_error: Float) -> Floor:
    """The floor of views `[N]` with these values; nan where a view has no mask or landmarks."""
    known = head_iou[np.isfinite(head_iou)]
    errors = landmark_error[np.isfinite(landmark_error)]
    return Floor(
        head_iou=round(float(np.median(known)), 4) if known.size else None,
        overlapping=round(float((known > NO_OVERLAP).mean()), 4) if known.size else None,
        landmark_error=round(float(np.median(errors)), 4) if errors.size else None,
    )


def judge_fit(
    floor: Floor, parts: Mapping[str, float], harmful: Sequence[Harm], frames: int, cameras: int, ignored: int
) -> str:
    """The verdict.

    Args:
        floor: how well the model explains the evidence.
        parts: distance of the parts of the face from the triangulated landmarks, mm, see `landmark_distances`.
        harmful: the stages that made a part of the face worse.
        frames: number of frames with high residuals.
        cameras: number of cameras that look off.
        ignored: number of files that could not be used.
    """
    failures: list[str] = []
    odd: list[str] = []
    if floor.overlapping is not None and floor.overlapping < MIN_OVERLAPPING:
        failures.append(f"the head overlaps its mask in {100 * floor.overlapping:.0f} % of the views only")
    if floor.head_iou is not None and floor.head_iou < LOW_IOU:
        target = failures if floor.head_iou < MIN_IOU else odd
        target.append(f"the head's IoU with the masks is {floor.head_iou:.2f}")
    if floor.landmark_error is not None and floor.landmark_error > HIGH_LANDMARK_ERROR:
        target = failures if floor.landmark_error > MAX_LANDMARK_ERROR else odd
        target.append(f"landmarks lie {100 * floor.landmark_error:.0f} % of the head's size from the model's")
    if failures:
        return FAILED + "; ".join(failures)
    if floor.head_iou is None and floor.landmark_error is None:
        odd.append("the pictures yourself: neither masks nor landmarks say whether the head lies right")
    elif floor.overlapping is not None and floor.overlapping < 1:
        odd.append(f"{100 * (1 - floor.overlapping):.0f} % of the views, in which the head and its mask do not overlap")
    odd += [f"the {name}, {mm:.1f} mm from the landmarks" for name, mm in parts.items() if mm > FAR_MM]
    undone = {True: ", and which was undone", False: ""}
    odd += [f"the {h.part}, which stage {h.stage} made worse{undone[h.undone]}" for h in harmful if not h.repeated]
    for count, what in ((frames, "frame"), (cameras, "camera"), (ignored, "ignored file")):
        if count:
            odd.append(f"{count} {what}{'s' if count > 1 else ''}")
    return f"look at {'; '.join(odd)}" if odd else GOOD
