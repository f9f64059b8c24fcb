"""Landmarks compared with the picture and with the masks of the same view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.centroids import REGIONS
from headfit.capture.conventions import POINT_READINGS
from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.errors import some_of
from headfit.types import Bool, Float

#: Landmarks that all lie within this many pixels of the picture's corner are shares of its size.
MAX_NORMALISED = 1.5
#: Smallest plausible face, as a share of the picture's diagonal.
MIN_SPREAD = 0.02
#: Least share of a view's landmarks that must lie in its picture, and on the head of its mask; the share at which
#: another reading of the landmarks is named.
MIN_INSIDE, MIN_ON_HEAD, GOOD_ON_HEAD = 0.2, 0.5, 0.8
#: Pixels by which the head of a mask is widened, as a share of the picture's diagonal.
HEAD_MARGIN = 0.01


@dataclass
class LandmarkFindings:
    """errors, warnings: sentences. unusable: cameras whose landmarks say nothing about the rig."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unusable: set[int] = field(default_factory=set)


def check_landmarks(capture: CaptureSource, frames: Sequence[int]) -> LandmarkFindings:
    """Say which cameras' landmarks cannot be pixels of their pictures, or contradict their masks."""
    findings = LandmarkFindings()
    normalised, narrow, outside = [], [], []
    off_head: dict[int, tuple[float, str | None]] = {}
    judged = 0
    for index, camera in enumerate(capture.cameras):
        read = [(frame, read_or_none(capture.landmarks, index, frame)) for frame in frames]
        views = [(f, r[CONTOUR_COUNT:][r[CONTOUR_COUNT:, 2] > 0, :2]) for f, r in read if r is not None]
        views = [(f, points) for f, points in views if len(points) >= 2]
        if not views:
            continue
        judged += 1
        points = np.concatenate([p for _, p in views])
        if (np.abs(points - 0.5) < MAX_NORMALISED).all() and min(camera.size) > 8:
            normalised.append(index)
        elif max(np.linalg.norm(np.ptp(p, axis=0)) for _, p in views) < MIN_SPREAD * np.hypot(*camera.size):
            narrow.append(index)
        elif _inside(points, camera).mean() < MIN_INSIDE:
            outside.append(index)
        elif (contradiction := _off_head(capture, index, views)) is not None:
            off_head[index] = contradiction
    findings.unusable = {*normalised, *narrow}

    def say(cameras: Sequence[int], text: str) -> None:
        if cameras:
            names = some_of([capture.cameras[c].id for c in cameras])
            target = findings.errors if 2 * len(cameras) >= judged else findings.warnings
            target.append(f"landmarks of camera{'s' if len(cameras) > 1 else ''} {names} {text}")

    say(normalised, "look normalised: all within 1 pixel; multiply by the picture size")
    say(narrow, f"lie within {100 * MIN_SPREAD:g} % of the picture: no face is that small")
    say(outside, "lie outside the picture: are they pixels of a picture of this size?")
    for name in dict.fromkeys(name for _, name in off_head.values()):
        cameras = [c for c, (_, reading) in off_head.items() if reading == name]
        share = float(np.median([off_head[c][0] for c in cameras]))
        hint = f"; read {name} they do" if name else ": one of both belongs to another picture, frame or camera"
        say(cameras, f"contradict the masks: {100 * share:.0f} % of the points lie on the head{hint}")
    return findings


def _inside(points: Float, camera: Camera) -> Bool:
    return np.asarray(((points >= 0) & (points < camera.size)).all(axis=1))


def _off_head(
    capture: CaptureSource, index: int, views: Sequence[tuple[int, Float]]
) -> tuple[float, str | None] | None:
    """Share of the landmarks that lie on the head of the masks, and the reading by which they do; None where they do
    as given, or where nothing is known."""
    camera = capture.cameras[index]
    known = np.zeros(256, bool)
    known[[value for value, name in capture.label_names.items() if name not in ("ignore", "unknown")]] = True
    is_head = np.zeros(256, bool)
    is_head[[value for value, name in capture.label_names.items() if name in REGIONS["head"]]] = True
    pairs = [(p, mask) for f, p in views if (mask := read_or_none(capture.mask, index, f)) is not None]
    if not pairs or not is_head.any():
        return None
    margin = HEAD_MARGIN * np.hypot(*camera.size)

    def share(reading: str | None) -> float:
        hits: list[Bool] = []
        for given, mask in pairs:
            points = given if reading is None else POINT_READINGS[reading](given, camera)
            points = points[_inside(points, camera)]
            x, y = points.astype(int).T
            certain = known[mask[y, x]]
            on_head = np.zeros(len(points), bool)
            for dx, dy in ((0, 0), (margin, 0), (-margin, 0), (0, margin), (0, -margin)):
                px = (points[:, 0] + dx).clip(0, camera.width - 1).astype(int)
                py = (points[:, 1] + dy).clip(0, camera.height - 1).astype(int)
                on_head |= is_head[mask[py, px]]
            hits.append(on_head[certain] if reading is None else on_head)
        joined = np.concatenate(hits)
        total = len(joined) if reading is None else sum(len(p) for p, _ in pairs)
        return float(joined.sum() / total) if total else 1.0

    given = share(None)
    if given >= MIN_ON_HEAD:
        return None
    shares = {reading: share(reading) for reading in POINT_READINGS}
    best = max(shares, key=lambda reading: shares[reading])
    return given, best if shares[best] >= GOOD_ON_HEAD else None
