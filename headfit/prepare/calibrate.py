"""Calibration of a static rig from pictures of a head.

Dense landmarks give first poses. They are biased towards a frontal face, by many degrees in profile, so features of the
skin then decide: they are matched near the epipolar lines, in rounds that get stricter. In long lenses two views say
little about the angle between them, therefore the last rounds use only points that three views show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headfit.errors import HeadfitError
from headfit.prepare.bundle import Rig, Tracks, adjust
from headfit.prepare.features import Ball, Features, feature_tracks
from headfit.prepare.first_poses import first_rig
from headfit.prepare.landmark_tracks import facing, landmark_tracks, triangulated
from headfit.sampling import evenly_spaced
from headfit.types import Float, Int

#: The first focal length, relative to the longer side of a picture: any leads to the same solution.
FIRST_FOCAL = 1.5
#: Extent in pixels of a face for which the bands and deviations below hold; they grow with the face.
FACE_EXTENT = 290.0


@dataclass(frozen=True)
class Round:
    """Features are matched within a `band` (pixels) and adjusted with each of the `deviations` (pixels) in turn.

    `least_views` that show a point; `frames` at most.
    """

    band: float
    deviations: tuple[float, ...]
    least_views: int
    frames: int


ROUNDS = (
    Round(16, (6, 3, 1.5), 2, 6),
    Round(6, (1.5, 1), 2, 6),
    Round(6, (1, 0.5), 3, 6),
    Round(2.5, (0.5,), 3, 12),
    Round(1.5, (0.5,), 3, 12),
)
#: Radius of the ball that holds the head, relative to the extent of the face's points.
HEAD_RADIUS = 1.4
#: Fewest observations of a camera, and points of all, by which a calibration holds.
MIN_OBSERVATIONS, MIN_POINTS = 25, 60


@dataclass(frozen=True)
class Calibration:
    """A rig in an arbitrary unit.

    Attributes:
        rig: the cameras.
        error: median error in pixels of the features of each camera `[V]`.
        observations: of features in each camera `[V]`.
        points: number of features' points.
        missing: cameras without a pose.
    """

    rig: Rig
    error: Float
    observations: Int
    points: int
    missing: list[int]


def calibrate(
    landmarks: Float,
    sizes: Float,
    features: Callable[[int, int], Features],
    shared_focal: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """The calibration of static cameras without distortion, with principal points at the pictures' centres.

    Args:
        landmarks: `[V,F,478,4]` x, y, z and scatter in pixels; nan where no face was found.
        sizes: `[V,2]` widths and heights of the pictures.
        features: of a view and frame.
        shared_focal: whether all cameras have the same focal length.
        report: called with a line about each round.

    Raises:
        HeadfitError: fewer than two cameras find a face in the same frame, or the views share too few features.
    """
    shapes, scatter = landmarks[..., :3], landmarks[..., 3]
    tracks = landmark_tracks(shapes, scatter, facing(shapes))
    if not len(tracks.view):
        raise HeadfitError("no frame in which two cameras find the face: calibrate the cameras with another tool")
    rig, missing = first_rig(shapes, scatter, sizes, FIRST_FOCAL * float(sizes.max()))
    rig, _, errors = adjust(rig, triangulated(rig, tracks), tracks, shared_focal)
    report(f"first poses from landmarks: {np.median(errors):.2f} px")
    unit = float(np.nanmedian(np.ptp(shapes[..., :2], axis=2).max(axis=-1))) / FACE_EXTENT
    found = np.flatnonzero(np.isfinite(shapes[..., 0, 0]).sum(axis=0) >= 2)
    for stage in ROUNDS:
        frames = found[evenly_spaced(len(found), stage.frames)]
        seen = [[features(view, int(frame)) for frame in frames] for view in range(len(sizes))]
        balls = [_ball(rig, shapes, scatter, int(frame)) for frame in frames]
        matches = _at_least(feature_tracks(rig, seen, balls, stage.band * unit), stage.least_views, len(sizes))
        if matches.count < MIN_POINTS:
            raise HeadfitError(
                f"the views share only {matches.count} features of the skin, too few to calibrate the cameras by "
                "(sharper or larger pictures, or more cameras, have more)"
            )
        for deviation in stage.deviations:
            weighed = replace(matches, sigma=np.full(len(matches.view), deviation * unit))
            rig, _, errors = adjust(rig, triangulated(rig, weighed), weighed, shared_focal)
        report(f"features within {stage.band * unit:.1f} px: {matches.count} points, {np.median(errors):.2f} px")
    observations = np.bincount(matches.view, minlength=len(sizes))
    error = np.array([np.median(errors[matches.view == v]) if observations[v] else np.nan for v in range(len(sizes))])
    weak = {int(view) for view in np.flatnonzero(observations < MIN_OBSERVATIONS)}
    return Calibration(rig, error, observations, matches.count, sorted(weak | set(missing)))


def _at_least(tracks: Tracks, least: int, views: int) -> Tracks:
    """The tracks of at least that many views, and all those of cameras that have too few of them."""
    length = np.bincount(tracks.point)[tracks.point]
    seen = np.bincount(tracks.view[length >= least], minlength=views)
    kept = (length >= least) | np.isin(tracks.point, tracks.point[(seen < MIN_OBSERVATIONS)[tracks.view]])
    return tracks.only(kept)


def _ball(rig: Rig, shapes: Float, scatter: Float, frame: int) -> Ball:
    """Where the head is in a frame: around its landmarks, as the rig sees them."""
    one = shapes[:, frame : frame + 1]
    views: Sequence[int] = np.flatnonzero(np.isfinite(one[:, 0, 0, 0])).tolist()
    shown = np.zeros(one.shape[:3], dtype=bool)
    shown[views] = True
    points = triangulated(rig, landmark_tracks(one, scatter[:, frame : frame + 1], shown))
    centre = np.median(points, axis=0)
    return centre, HEAD_RADIUS * float(np.quantile(np.linalg.norm(points - centre, axis=1), 0.95))
