"""What the views of a capture say about its cameras, to look at before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from headfit.capture import Camera, CaptureSource
from headfit.capture.consistency import MAX_MASK_CAMERAS, SUSPECT
from headfit.capture.observations import (
    Observations,
    agreement,
    observe_features,
    observe_landmarks,
    observe_regions,
)
from headfit.fitting.pictures import Picture
from headfit.sampling import evenly_spaced
from headfit.types import Float
from headfit.view.frusta import thumbnail

#: Longest side, pixels, of a camera's picture with its points.
PICTURE = 480
SEEN, EXPECTED = (90, 255, 120), (255, 90, 70)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Points of one frame, triangulated from what V cameras see.

    seen: the observations. points `[N,3]`: metres, nan where the views give none. residuals `[V,N]`: pixels between an
    observation and where the point would be seen; nan without an observation. limit: pixels from which a camera is
    suspected.
    """

    seen: Observations
    points: Float
    residuals: Float
    limit: float

    @property
    def by_camera(self) -> dict[int, tuple[int, float]]:
        """For the index of each camera that sees points: how many, and the median residual in pixels."""
        found = {}
        for view, camera in enumerate(self.seen.cameras):
            known = self.residuals[view][~np.isnan(self.residuals[view])]
            if len(known):
                found[camera] = len(known), float(np.median(known))
        return found

    @property
    def suspects(self) -> list[int]:
        """Indices of the cameras that lie further from the others than the limit."""
        return [camera for camera, (_, residual) in self.by_camera.items() if not residual <= self.limit]

    @property
    def spread(self) -> Float:
        """The median residual `[N]` of each point, pixels; infinite where there is no point."""
        known = np.where(np.isnan(self.points).any(axis=1), np.inf, self.residuals)
        with np.errstate(all="ignore"):
            middle = np.array([np.median(column[~np.isnan(column)]) for column in known.T])
        return np.nan_to_num(middle, nan=np.inf, posinf=np.inf)


def gather(capture: CaptureSource, frame: int) -> Evidence | None:
    """What landmarks say in a frame; without them the regions of the masks, without those matched features; None where
    no two cameras see the same."""
    if len(capture.cameras) < 2:
        return None
    some = [int(camera) for camera in evenly_spaced(len(capture.cameras), MAX_MASK_CAMERAS)]
    seen = observe_landmarks(capture, [frame])
    if seen is None and capture.label_names:
        seen = observe_regions(capture, [frame], some)
    if seen is None:
        seen = observe_features(capture, frame)
    if seen is None:
        return None
    found = agreement(capture.cameras, seen)
    return Evidence(seen, found.points, found.residuals, SUSPECT[seen.kind] * seen.size)


def rays(cameras: list[Camera], evidence: Evidence, chosen: int | None = None) -> tuple[Float, Float]:
    """The rays through the observations, as long as their points are far.

    Args:
        cameras: all of the capture, in the coordinates of the points.
        evidence: observations and points.
        chosen: index of the only camera whose rays are wanted; None: of all.

    Returns:
        Ends `[M,2,3]`, metres, and residuals `[M]`, pixels.
    """
    ends, residuals = [np.zeros((0, 2, 3))], [np.zeros(0)]
    for view, index in enumerate(evidence.seen.cameras):
        if chosen is not None and index != chosen:
            continue
        camera = cameras[index]
        used = (evidence.seen.weights[view] > 0) & np.isfinite(evidence.points).all(axis=1)
        direction = camera.rays(evidence.seen.pixels[view][used]) @ camera.R
        length = np.linalg.norm(evidence.points[used] - camera.centre, axis=1)[:, None]
        start = np.broadcast_to(camera.centre, direction.shape)
        ends.append(np.stack([start, camera.centre + length * direction], axis=1))
        residuals.append(evidence.residuals[view][used])
    together, of_each = np.concatenate(ends), np.concatenate(residuals)
    known = np.isfinite(together).all(axis=(1, 2))
    return together[known], of_each[known]


def traffic_light(residuals: Float, limit: float) -> np.ndarray:
    """Colours `[N,3]` uint8 of residuals `[N]`: green at 0, yellow at half the limit, red from the limit on."""
    share = np.nan_to_num(residuals / limit, nan=1.0, posinf=1.0).clip(0, 1)
    colour = np.stack([(2 * share).clip(0, 1), (2 - 2 * share).clip(0, 1), np.full_like(share, 0.15)], axis=-1)
    return np.asarray((255 * colour).round(), np.uint8)


def marked_picture(picture: Picture, camera: Camera, evidence: Evidence, index: int) -> Picture:
    """A camera's picture with what it sees (green) and where the other cameras put it (red, with a line between).

    Args:
        picture: `[H,W,3]`.
        camera: the camera, in the coordinates of the points.
        evidence: observations and points.
        index: of the camera in the capture.
    """
    small = np.ascontiguousarray(thumbnail(picture, PICTURE))
    scale = small.shape[1] / picture.shape[1]
    if index not in evidence.seen.cameras:
        return small
    view = evidence.seen.cameras.index(index)
    in_front = camera.to_camera(evidence.points)[:, 2] > 0
    for n in np.flatnonzero((evidence.seen.weights[view] > 0) & in_front):
        seen, expected = (
            tuple(int(value) for value in np.clip(scale * point, -9999, 9999))
            for point in (evidence.seen.pixels[view, n], camera.project(evidence.points[n]))
        )
        cv2.line(small, seen, expected, EXPECTED, 1, cv2.LINE_AA)
        cv2.circle(small, expected, 2, EXPECTED, -1, cv2.LINE_AA)
        cv2.circle(small, seen, 2, SEEN, -1, cv2.LINE_AA)
    return small


def table(cameras: list[Camera], evidence: Evidence) -> str:
    """A Markdown table of the cameras, the worst first."""
    rows = sorted(evidence.by_camera.items(), key=lambda entry: -np.nan_to_num(entry[1][1], posinf=1e9))
    lines = ["| camera | points | median px | |", "|---|---|---|---|"]
    for index, (count, residual) in rows:
        verdict = "**disagrees**" if index in evidence.suspects else ""
        lines.append(f"| {cameras[index].id} | {count} | {residual:.2f} | {verdict} |")
    return "\n".join(lines)
