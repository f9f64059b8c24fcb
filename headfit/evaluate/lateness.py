"""Cameras that are a fraction of a frame late: their pictures lie behind the model, the further the faster it moves.

A camera whose pictures show the head d frames too late lies -d v off, where v is the model's motion in its picture
(pixels a frame). Whole frames are found before a fit, see `late_cameras`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from headfit.capture import CaptureSource
from headfit.capture.landmark_files import CONTOUR_COUNT, LANDMARK_COUNT
from headfit.capture.source import read_or_none
from headfit.evaluate.residuals import ViewResiduals
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.types import Float

#: Most frames that are compared, and least.
MAX_FRAMES, MIN_FRAMES = 24, 4
#: Of fewer cameras nobody can say which one is late.
MIN_CAMERAS = 3
#: Every 50th vertex says how a picture of the whole head moves.
STRIDE = 50
#: A camera is reported from this many frames and this many standard errors on.
MIN_LATE, SIGMAS = 0.1, 5.0
#: Deviations are weighted down from this many robust standard deviations on.
OUTLIER = 2.0


@dataclass(frozen=True)
class Lateness:
    """How many frames late a camera's pictures are, relative to the rig's median, and the standard error of that."""

    frames: float
    error: float

    @property
    def significant(self) -> bool:
        """Whether it is more than the measurement's own error."""
        return abs(self.frames) > max(MIN_LATE, SIGMAS * self.error)


def late_by_fractions(model: FittedHead, capture: CaptureSource, views: ViewResiduals) -> dict[int, Lateness]:
    """Lateness by index of the camera, where enough pictures of at least three cameras have two neighbours in time.

    Measured on the landmarks, or on the shift of whole pictures, whichever says more exactly. The fit follows each
    camera a little, so the figure is too small by about one part in the number of cameras.

    Args:
        model: the fit.
        capture: has the fit's frames and cameras, in its order.
        views: the residuals of the fit.
    """
    frames = evenly_spaced(len(capture.frames) - 2, MAX_FRAMES) + 1 if len(capture.frames) > 2 else np.array([], int)
    if len(frames) < MIN_FRAMES:
        return {}
    heads = [_heads(model, frames + step) for step in (-1, 0, 1)]
    inner = [_numpy(model.head.landmarks(v)[:, CONTOUR_COUNT:]) for v in heads] if model.use_landmarks else []
    sparse = [_numpy(v[:, ::STRIDE]) for v in heads]
    found = {}
    for camera, at in enumerate(model.corrected_cameras()):
        measured = [_by_shift(views, camera, frames, [at.project(points).mean(1, keepdims=True) for points in sparse])]
        if inner:
            measured.append(_by_landmarks(capture, camera, frames, [at.project(points) for points in inner]))
        known = [estimate for estimate in measured if estimate is not None]
        if known:
            found[camera] = min(known, key=lambda estimate: estimate.error)
    if len(found) < MIN_CAMERAS:
        return {}
    middle = float(np.median([estimate.frames for estimate in found.values()]))
    return {c: Lateness(round(e.frames - middle, 3), round(e.error, 3)) for c, e in found.items()}


def lateness(deviation: Float, motion: Float) -> Lateness | None:
    """Lateness from deviations of pictures from the model and motions of the model, both `[N,F,2]` in pixels, of N
    points in F frames; nan: not seen. What a point deviates in all frames alike is left out. None: too few, or nothing
    moves."""
    known = np.isfinite(deviation).all(-1) & np.isfinite(motion).all(-1)
    known &= known.sum(1, keepdims=True) >= MIN_FRAMES
    if not known.any():
        return None
    points = known.any(1)
    hidden = ~known[points][..., None].repeat(2, -1)
    y, x = (np.ma.array(values[points], mask=hidden) for values in (deviation, motion))
    y, x = ((values - np.ma.median(values, axis=1, keepdims=True)).compressed() for values in (y, x))
    weight, slope = np.ones_like(y), 0.0
    for _ in range(5):
        total = float((weight * x * x).sum())
        if total < 1e-6:
            return None
        slope = float((weight * x * y).sum()) / total
        rest = y - slope * x
        sigma = 1.4826 * float(np.median(np.abs(rest))) + 1e-9
        weight = 1 / np.maximum(np.abs(rest) / (OUTLIER * sigma), 1)
    return Lateness(-slope, sigma / total**0.5)


@torch.no_grad()
def _heads(model: FittedHead, frames: np.ndarray) -> torch.Tensor:
    """Vertices `[F,V,3]` of frames `[F]`."""
    return torch.stack([model.vertices(int(frame)) for frame in frames])


def _numpy(points: torch.Tensor) -> Float:
    return points.double().cpu().numpy()


def _motion(points: list[Float]) -> Float:
    """Pixels a frame from projections before, at and after each frame, each `[F,N,2]`: `[N,F,2]`."""
    return (points[2] - points[0]).swapaxes(0, 1) / 2


def _by_landmarks(capture: CaptureSource, camera: int, frames: np.ndarray, shown: list[Float]) -> Lateness | None:
    """From the landmarks but for the jaw line, whose points are not fixed on the skin; the model's, `shown`, are those
    before, at and after each frame, each `[F,51,2]`."""
    seen = np.full((len(frames), LANDMARK_COUNT - CONTOUR_COUNT, 2), np.nan)
    for row, frame in enumerate(frames):
        points = read_or_none(capture.landmarks, camera, int(frame))
        if points is not None:
            inner = points[CONTOUR_COUNT:]
            seen[row] = np.where(inner[:, 2:] > 0, inner[:, :2], np.nan)
    return lateness((seen - shown[1]).swapaxes(0, 1), _motion(shown))


def _by_shift(views: ViewResiduals, camera: int, frames: np.ndarray, shown: list[Float]) -> Lateness | None:
    """From the shift of whole pictures; the model's mean point, `shown`, is that before, at and after each frame, each
    `[F,1,2]`."""
    shift = np.full((1, len(frames), 2), np.nan)
    for row, frame in enumerate(frames):
        where = (views.camera == camera) & (views.frame == frame)
        if where.any():
            shift[0, row] = views.shift[where][0]
    return lateness(shift, _motion(shown))
