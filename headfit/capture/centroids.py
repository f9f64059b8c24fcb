"""Triangulated centres of the eyes, the lips and the head from masks, which place a head without landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.labels import LABELS
from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.triangulate import triangulate
from headfit.types import Float

#: The regions that are triangulated, and their labels.
REGIONS = {
    "left_eye": {"left_eye"},
    "right_eye": {"right_eye"},
    "lips": {"lips", "upper_lip", "lower_lip"},
    "head": set(LABELS) - {"background", "neck", "clothes", "ignore", "unknown"},
}

#: Share of the image diagonal within which centroids count as agreeing. The centroids of a region's silhouettes are not
#: projections of one point: they move by some per cent of the head's size from view to view.
TOLERANCE = 0.03
#: Connected components smaller than this share of a region's largest one are segmentation errors.
MIN_COMPONENT = 0.2
#: Most that a view weighs, as a multiple of the median of those that show the region.
MAX_WEIGHT = 2.0


def label_centroids(
    capture: CaptureSource, frame: int, cameras: Sequence[int] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Centres `[3]` (world, metres) of the regions on which the masks of two or more cameras agree.

    Keys: "left_eye", "right_eye" (the visible eyeball between the lids), "lips" (without the inside of the mouth) and
    "head" (all that is not neck, clothes or background; rough, since masks often label the neck as skin). A view's
    weight is the solid angle that the region covers in it, which is small in profile views, whose centroids are biased;
    a view in which it is far larger than in the others has wrong labels. Damaged masks are skipped.

    Args:
        capture: the capture.
        frame: index of the frame.
        cameras: indices of the cameras to use; default: all.
    """
    chosen = range(len(capture.cameras)) if cameras is None else cameras
    masks = [(capture.cameras[camera], read_or_none(capture.mask, camera, frame)) for camera in chosen]
    seen = [(camera, mask) for camera, mask in masks if mask is not None]
    if len(seen) < 2:
        return {}
    views = [camera for camera, _ in seen]
    tolerance = TOLERANCE * max(camera.diagonal for camera in views)
    centres = {}
    for region, labels in REGIONS.items():
        belongs = np.zeros(256, dtype=np.uint8)
        belongs[[value for value, name in capture.label_names.items() if name in labels]] = 1
        pictures = [region_centroid(belongs[mask]) for _, mask in seen]
        pixels = np.array([centroid for centroid, _ in pictures])
        angles = np.array([area / view.focal**2 for view, (_, area) in zip(views, pictures, strict=True)])
        point = triangulate(views, pixels, _weights(angles), tolerance).points
        if np.isfinite(point).all():
            centres[region] = point
    return centres


def _weights(angles: Float) -> Float:
    """Weights in [0, 1] of views that see a region under solid angles `[V]`, 0 for none."""
    seen = angles[angles > 0]
    if not len(seen):
        return angles
    bounded = np.minimum(angles, MAX_WEIGHT * np.median(seen))
    weights: Float = bounded / bounded.max()
    return weights


def region_centroid(region: NDArray[np.uint8]) -> tuple[tuple[float, float], float]:
    """Centroid (pixels from the corner) and pixel count of a region's large components; (0, 0) and 0 if it is empty."""
    _, _, stats, centroids = cv2.connectedComponentsWithStats(region)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)  # the first is the background
    if not areas.size:
        return (0.0, 0.0), 0.0
    areas[areas < MIN_COMPONENT * areas.max()] = 0.0
    x, y = areas @ centroids[1:] / areas.sum() + 0.5
    return (x, y), float(areas.sum())
