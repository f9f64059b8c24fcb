"""What an import says about the cameras that it wrote: do they look at one place, from as far as from a head, and do
landmarks or matched features agree?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headfit.capture.consistency import compare_evidence
from headfit.capture.native import open_capture
from headfit.capture.rig import Rig, describe_rig, head_metres, rig_warnings
from headfit.capture.source import CaptureSource
from headfit.errors import some_of

#: Metres that the shorter side of a picture of a head shows, as a rule, for the guess of a scale.
TYPICAL_VIEW = 0.4


@dataclass(frozen=True)
class SelfCheck:
    """Rows of a table (what, found), and what looks wrong, one sentence each."""

    rows: list[tuple[str, str]]
    warnings: list[str]


def self_check(folder: Path, arbitrary_unit: bool = False) -> SelfCheck:
    """The check of the capture in `folder`.

    Args:
        folder: the capture.
        arbitrary_unit: nobody knows how many metres a unit is: a scale is guessed by what a picture shows.

    Raises:
        HeadfitError: its capture.json cannot be used.
    """
    capture = open_capture(folder)
    names = [camera.id for camera in capture.cameras]
    sizes = list(dict.fromkeys(f"{camera.width}x{camera.height}" for camera in capture.cameras))
    seen = sum(_has_picture(capture, index) for index in range(len(names)))
    rows = [
        ("cameras", f"{len(names)} of {some_of(sizes, 3)} px: {some_of(names, 4)}"),
        ("frames", f"{len(capture.frames)}: {some_of(capture.frames, 3)}"),
        ("pictures", f"{seen} of {len(names)} cameras have some"),
    ]
    rig, warnings, compared = describe_rig(capture.cameras), [], False
    rows += _rig_rows(rig)
    if seen > 1:
        findings = compare_evidence(capture, thorough=True)
        rows += [("views", line.removeprefix("views: ")) for line in findings.lines]
        warnings, compared = [*findings.errors, *findings.warnings], findings.compared
    else:
        rows.append(("views", "not compared: there are no pictures of two cameras"))
    cameras, unknown = capture.cameras, [np.nan] * len(names)
    if _converges(rig):
        metres = head_metres(cameras, rig, unknown)
        rows.append(("shown there", f"{metres:.3g} m by the shorter side of a picture (median)"))
        if arbitrary_unit and metres > 0:
            guess = TYPICAL_VIEW / metres
            rows.append(("scale", f"unknown; a guess, if this is a head: --scale {guess:.2g}"))
            cameras = [replace(camera, t=camera.t * guess) for camera in cameras]
            rig = describe_rig(cameras)
    warnings += rig_warnings(cameras, rig, unknown, compared)
    rows.append(("verdict", _verdict(len(names), rig, warnings)))
    return SelfCheck(rows, warnings)


def _has_picture(capture: CaptureSource, camera: int) -> bool:
    """In one of the first frames: some drop a few."""
    return any(capture.has_image(camera, frame) for frame in range(min(3, len(capture.frames))))


def _rig_rows(rig: Rig) -> list[tuple[str, str]]:
    if not np.isfinite(rig.look_at).all():
        return [("look at", "one camera, or axes that do not meet")]
    x, y, z = np.round(rig.look_at, 4) + 0.0
    return [
        ("look at", f"({x:.3g}, {y:.3g}, {z:.3g}) m, {rig.distance.min():.3g} to {rig.distance.max():.3g} m away"),
        ("axes miss it", f"by {np.median(rig.miss):.2g} m (median), {rig.miss.max():.2g} m at most"),
        ("directions", f"differ by up to {rig.widest_angle:.0f} degrees"),
    ]


def _converges(rig: Rig) -> bool:
    return bool(np.isfinite(rig.look_at).all() and np.median(rig.distance) > 0)


def _verdict(cameras: int, rig: Rig, warnings: list[str]) -> str:
    if cameras == 1:
        return "one camera: nothing to compare it with"
    if not _converges(rig):
        return "this does not look like cameras around a head: they do not look at one place"
    if warnings:
        return "this does not look like cameras around a head as it is: see the warnings"
    return "the cameras look at one place, as they do around a head"
