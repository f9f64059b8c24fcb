"""What an import says about the cameras that it wrote: do they look at one place, from as far as from a head, and do
landmarks or matched features agree?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headfit.capture.consistency import compare_evidence
from headfit.capture.native import open_capture
from headfit.capture.rig import PLAUSIBLE_HEAD_METRES, Rig, describe_rig, head_metres, rig_warnings
from headfit.capture.source import CaptureSource
from headfit.errors import some_of

#: Metres that the shorter side of a picture of a head shows, as a rule, for the guess of a scale.
TYPICAL_VIEW = 0.4


@dataclass(frozen=True)
class SelfCheck:
    """Rows of a table (what, found), and what looks wrong, one sentence each."""

    rows: list[tuple[str, str]]
    warnings: list[str]


def self_check(folder: Path) -> SelfCheck:
    """The check of the capture in `folder`. Raises HeadfitError when its capture.json cannot be used."""
    capture = open_capture(folder)
    sizes = list(dict.fromkeys(f"{camera.width}x{camera.height}" for camera in capture.cameras))
    shown = [camera.id for camera in capture.cameras]
    rows = [("cameras", f"{len(shown)} of {some_of(sizes, 3)} px: {some_of(shown, 4)}")]
    absent = [camera.id for c, camera in enumerate(capture.cameras) if not _has_picture(capture, c)]
    rows.append(("frames", f"{len(capture.frames)}: {some_of(capture.frames, 3)}"))
    rows.append(("pictures", f"{len(shown) - len(absent)} of {len(shown)} cameras have some"))
    rig = describe_rig(capture.cameras)
    rows += _rig_rows(rig)
    warnings = []
    if len(absent) < len(shown) - 1:
        findings = compare_evidence(capture, thorough=True)
        rows += [("views", line) for line in findings.lines]
        warnings += [*findings.errors, *findings.warnings]
        warnings += rig_warnings(capture.cameras, rig, [np.nan] * len(shown), findings.compared)
    else:
        rows.append(("views", "not compared: there are no pictures"))
        warnings += rig_warnings(capture.cameras, rig, [np.nan] * len(shown))
    if np.isfinite(rig.look_at).all():
        metres = head_metres(capture.cameras, rig, [np.nan] * len(shown))
        rows.append(("view's width", f"{metres:.3g} m at that place (shorter side, median)"))
        if metres > 0 and not PLAUSIBLE_HEAD_METRES[0] <= metres <= PLAUSIBLE_HEAD_METRES[1]:
            guess = TYPICAL_VIEW / metres
            warnings.append(f"if these cameras look at a head, a guess of the scale is --scale {guess:.2g}")
    rows.append(("verdict", _verdict(capture, rig, warnings)))
    return SelfCheck(rows, warnings)


def _has_picture(capture: CaptureSource, camera: int) -> bool:
    """In one of the first frames: some drop a few."""
    return any(capture.has_image(camera, frame) for frame in range(min(3, len(capture.frames))))


def _rig_rows(rig: Rig) -> list[tuple[str, str]]:
    if not np.isfinite(rig.look_at).all():
        return [("look at", "one camera, or axes that do not meet")]
    x, y, z = rig.look_at
    return [
        ("look at", f"({x:.3g}, {y:.3g}, {z:.3g}) m, {rig.distance.min():.3g} to {rig.distance.max():.3g} m away"),
        ("axes miss it", f"by {np.median(rig.miss):.2g} m (median), {rig.miss.max():.2g} m at most"),
        ("directions", f"differ by up to {rig.widest_angle:.0f} degrees"),
    ]


def _verdict(capture: CaptureSource, rig: Rig, warnings: list[str]) -> str:
    if len(capture.cameras) == 1:
        return "one camera: nothing to compare it with"
    if not np.isfinite(rig.look_at).all() or np.median(rig.distance) <= 0:
        return "this does not look like a rig around a head: the cameras do not look at one place"
    return "looks like a rig around a head" if not warnings else "not sure that this is a rig around a head: see below"
