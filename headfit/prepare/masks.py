"""Masks from a person segmentation and dense landmarks; whatever is uncertain is `unknown`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from headfit.prepare.face_mesh import LEFT_LIDS, RIGHT_LIDS, DenseLandmarks
from headfit.prepare.network import Network, load_network
from headfit.segmentation.labels import BACKGROUND, LEFT_EYE, LIPS, MOUTH, RIGHT_EYE, SKIN, UNKNOWN
from headfit.types import Float

SEGMENTATION_SIDE = 256
#: Certainty of the segmentation at which a pixel is background, and at which it is the person.
CERTAIN_BACKGROUND, CERTAIN_PERSON = 0.1, 0.9
#: Contours of the mesh, as rings: the lips' outer and inner border, and the lids.
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
RING = (*range(9), *range(15, 8, -1))  # the lids' order in the iris network: below from corner to corner, then above
LEFT_EYE_RING, RIGHT_EYE_RING = (tuple(lids[i] for i in RING) for lids in (LEFT_LIDS, RIGHT_LIDS))
#: The landmarks that a mask needs.
CONTOURS = (*OUTER_LIPS, *INNER_LIPS, *LEFT_EYE_RING, *RIGHT_EYE_RING)
#: Around a contour of landmarks a band of this half width is unknown: a share of the face's extent, and the scatter.
BAND = 0.006
#: Largest scatter of a contour, as a share of the face's extent, that is painted at all.
MAX_SCATTER = 0.02


class PersonSegmentation:
    """How certainly each pixel shows a person: MediaPipe's selfie segmentation.

    Args:
        files: the network's files, see `headfit.prepare.wheel.network_files`.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self.network: Network = load_network(files["selfie_segmentation"])

    def __call__(self, image: NDArray[np.uint8]) -> Float:
        """Certainty `[H,W]` in [0, 1] for an RGB image `[H,W,3]`."""
        height, width = image.shape[:2]
        side = (SEGMENTATION_SIDE, SEGMENTATION_SIDE)
        small = cv2.resize(image, side, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        coarse = self.network(small)[0].reshape(side)
        return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float64)


def mask_of(person: Float, landmarks: DenseLandmarks | None) -> NDArray[np.uint8]:
    """A mask `[H,W]` of values of `LABELS`.

    The person is skin, whatever they wear: the model is compared above the neck only. Lips and eyes are painted where
    the detector agrees with itself about their contours; elsewhere their region is unknown.

    Args:
        person: certainty `[H,W]` that a pixel shows a person.
        landmarks: the face in it, of which `CONTOURS` must be known (a scatter may be infinite); None: nothing inside
            the person is known, so all of it is unknown.
    """
    mask = np.full(person.shape, UNKNOWN, dtype=np.uint8)
    head = binary_fill_holes(_largest(person > CERTAIN_PERSON))  # eyes and teeth are less certainly a person
    sure = person < CERTAIN_BACKGROUND
    mask[head] = SKIN if landmarks is not None else UNKNOWN
    mask[sure & ~head] = BACKGROUND
    if landmarks is None:
        return mask
    on_face = landmarks.points[:468, :2]
    extent = float((np.nanmax(on_face, axis=0) - np.nanmin(on_face, axis=0)).max())
    for outer, inner, value, hole in (
        (OUTER_LIPS, INNER_LIPS, LIPS, MOUTH),
        (LEFT_EYE_RING, None, LEFT_EYE, None),
        (RIGHT_EYE_RING, None, RIGHT_EYE, None),
    ):
        _paint(mask, landmarks, list(outer), value, extent)
        painted = (mask[_filled(mask.shape, landmarks, list(outer))] != UNKNOWN).any()
        if inner is not None and hole is not None and painted:
            _paint(mask, landmarks, list(inner), hole, extent)
    return mask


def _paint(mask: NDArray[np.uint8], landmarks: DenseLandmarks, ring: list[int], value: int, extent: float) -> None:
    """Fill a contour with a value, and call the band in which its border may be unknown."""
    scatter, largest = float(np.median(landmarks.scatter[ring])), MAX_SCATTER * extent
    inside = _filled(mask.shape, landmarks, ring)
    mask[inside] = value if scatter < largest else UNKNOWN
    band = max(1, round(2 * BAND * extent + min(scatter, largest)))
    contour = np.round(landmarks.points[ring, :2] * 16 - 8).astype(np.int32)
    border = np.zeros(mask.shape, dtype=np.uint8)
    cv2.polylines(border, [contour], True, 1, band, cv2.LINE_8, 4)
    mask[border > 0] = UNKNOWN


def _filled(shape: tuple[int, ...], landmarks: DenseLandmarks, ring: list[int]) -> NDArray[np.bool_]:
    filled = np.zeros(shape, dtype=np.uint8)
    cv2.fillPoly(filled, [np.round(landmarks.points[ring, :2] * 16 - 8).astype(np.int32)], 1, cv2.LINE_8, 4)
    return filled > 0


def _largest(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a region."""
    parts, count = label(region)
    if count < 2:
        return region
    largest: NDArray[np.bool_] = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return largest


def mask_pointer(folder: str, labels: Mapping[int, str], rough: bool = False) -> dict[str, Any]:
    """The masks of a folder `folder/<camera>/<frame>.png`, which are upright, as 'masks' in capture.json; rough: a fit
    shall make them again."""
    return {
        "path": folder + "/{camera}/{frame}.png",
        "labels": {str(value): name for value, name in labels.items()},
        "rotate": 0,
        **({"rough": True} if rough else {}),
    }
