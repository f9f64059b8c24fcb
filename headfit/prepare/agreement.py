"""Dense landmarks of one view, corrected by what all views of the same moment say together.

A detector is biased towards a frontal face: in profile its lips and lids are off by 10 to 20 pixels, many times its own
scatter. The frontal views know better where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.triangulate import triangulate
from headfit.types import Float, Int

#: Most that views may disagree about a point, as a share of the face's extent.
TOLERANCE = 0.02
#: The scatter, in pixels, at which a view counts half as much as one that finds the same point each time.
HALF_WEIGHT_SCATTER = 1.0
#: Fewest views that confirm a point: two nearly always agree.
MIN_VIEWS = 3


def agreed_landmarks(cameras: Sequence[Camera | None], landmarks: Float, points: Sequence[int]) -> Float:
    """The landmarks `[V,F,478,4]` with `points` where all views together see them.

    A point that at least three views agree on is projected into every camera that it is in front of, and its scatter is
    the distance from what the view itself says, if that is larger. A view without a face gets it with an infinite
    scatter, since nothing tells whether the point can be seen there; its other points stay nan.

    Args:
        cameras: of the V views; None: not calibrated.
        landmarks: x, y, z and scatter in pixels of F moments; nan where no face was found.
        points: indices of those that are corrected.
    """
    chosen = np.asarray(points)
    result = landmarks.copy()
    for frame in tqdm(range(landmarks.shape[1]), unit="frame", desc="contours", leave=False):
        world = _triangulated(cameras, landmarks[:, frame], chosen)
        for view, camera in enumerate(cameras):
            if camera is not None:
                shown = camera.to_camera(world)[:, 2] > 0  # not those that are nan
                pixels = camera.project(world[shown])
                own = landmarks[view, frame, chosen[shown]]
                apart = np.linalg.norm(pixels - own[:, :2], axis=1)
                result[view, frame, chosen[shown], :2] = pixels
                result[view, frame, chosen[shown], 3] = np.fmax(np.nan_to_num(apart, nan=np.inf), own[:, 3])
    return result


def _triangulated(cameras: Sequence[Camera | None], landmarks: Float, chosen: Int) -> Float:
    """The chosen points `[N,3]` of landmarks `[V,478,4]`, world; nan where too few views agree."""
    views = [v for v, camera in enumerate(cameras) if camera is not None and np.isfinite(landmarks[v]).all()]
    if len(views) < MIN_VIEWS:
        return np.full((len(chosen), 3), np.nan)
    seen = landmarks[views][:, chosen]
    extent = float(np.median(np.ptp(landmarks[views][..., :2], axis=1).max(axis=-1)))
    weights = 1 / (1 + (seen[..., 3] / HALF_WEIGHT_SCATTER) ** 2)
    used = [camera for camera in (cameras[v] for v in views) if camera is not None]
    found = triangulate(used, seen[..., :2], weights, TOLERANCE * extent)
    return np.where((found.inliers.sum(axis=0) >= MIN_VIEWS)[:, None], found.points, np.nan)
