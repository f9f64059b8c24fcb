"""Dense facial landmarks: MediaPipe's face mesh with irises (Kartynnik et al. 2019; Ablavatski et al. 2020).

Points 0 to 467 are those of the face mesh. 468 to 472 are the subject's right iris (centre, then four points of its
border), 473 to 477 the left one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headfit.prepare.crops import Crop
from headfit.prepare.face_boxes import FaceDetector, full_range_anchors, short_range_anchors
from headfit.prepare.network import Network, load_network
from headfit.types import Float

POINT_COUNT = 478
FACE_SIDE, EYE_SIDE = 192, 64
#: Points of the outer corners of the eyes; of each eye's lids in the order of the iris network's contour; the eyes'
#: windows are centred between their corners.
OUTER_CORNERS = (33, 263)
RIGHT_LIDS = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
LEFT_LIDS = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
RIGHT_IRIS, LEFT_IRIS = range(468, 473), range(473, 478)
#: Side of a window relative to the extent of the face's, and of the eye's landmarks.
FACE_WINDOW, EYE_WINDOW = 1.5, 2.3
#: Least share of certainty that the window shows a face.
MIN_PRESENCE = 0.5
#: The window is found from the landmarks of the last one, this many times.
REFINEMENTS = 2
#: Then the landmarks are the mean over windows that are moved by shares of their size (right, down), resized and turned
#: (radians), and their scatter is the standard deviation.
JITTER = ((0, 0, 1, 0), (0.03, 0.03, 0.95, 0.08), (-0.03, 0.03, 1.06, -0.08), (0.03, -0.03, 1.06, -0.05),
          (-0.03, -0.03, 0.95, 0.05))  # fmt: skip


@dataclass(frozen=True)
class DenseLandmarks:
    """The landmarks of a face in one picture.

    Attributes:
        points: `[478,3]`, x and y in pixels from the corner; z in the same unit, growing away from the camera, relative
            to an unknown depth (the network's guess, in a weak perspective).
        scatter: `[478]`, pixels: how far the detector moves a point when its window moves.
        presence: certainty in [0, 1] that there is a face.
    """

    points: Float
    scatter: Float
    presence: float


class FaceMesh:
    """Finds the landmarks of the most certain face in a picture.

    Args:
        files: the network's files, see `headfit.prepare.wheel.network_files`.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        near, far = (load_network(files[f"face_detection_{name}"]) for name in ("short_range", "full_range_sparse"))
        self.detectors = [FaceDetector(near, 128, short_range_anchors()), FaceDetector(far, 192, full_range_anchors())]
        self.mesh = load_network(files["face_landmark"])
        self.iris = load_network(files["iris_landmark"])

    def __call__(self, image: NDArray[np.uint8]) -> DenseLandmarks | None:
        """The landmarks in an RGB image `[H,W,3]`; None where no face is found."""
        found = [face for detector in self.detectors if (face := detector.find(image)) is not None]
        best: DenseLandmarks | None = None
        for _, window in sorted(found, key=lambda face: -face[0]):
            landmarks = self._in_window(image, window)
            if landmarks and (best is None or landmarks.presence > best.presence):
                best = landmarks
        return best

    def _in_window(self, image: NDArray[np.uint8], window: Crop) -> DenseLandmarks | None:
        for _ in range(REFINEMENTS):
            points, _ = face_points(self.mesh, image, window)
            window = _window_of(points, OUTER_CORNERS, FACE_WINDOW)
        samples, certainties = [], []
        for jitter in JITTER:
            face, certainty = face_points(self.mesh, image, window.moved(*jitter))
            samples.append(self._with_irises(image, face))
            certainties.append(certainty)
        points, presence = np.mean(samples, axis=0), float(np.mean(certainties))
        scatter = np.sqrt(np.var(samples, axis=0, ddof=1)[:, :2].sum(axis=1))
        return DenseLandmarks(points, scatter, presence) if presence >= MIN_PRESENCE else None

    def _with_irises(self, image: NDArray[np.uint8], face: Float) -> Float:
        """The face's points with irises, and with lids as the iris network sees them, `[478,3]`."""
        points = np.concatenate([face, np.zeros((10, 3))])
        for lids, iris, mirrored in ((RIGHT_LIDS, RIGHT_IRIS, False), (LEFT_LIDS, LEFT_IRIS, True)):
            corners = (lids[0], lids[8])
            window = _window_of(face[list(corners)], (0, 1), EYE_WINDOW)
            turned = _window_of(face, OUTER_CORNERS, 1.0).angle
            found_lids, found_iris = eye_points(
                self.iris, image, Crop(window.x, window.y, window.size, turned), mirrored
            )
            points[list(lids), :2] = found_lids
            points[list(iris), :2] = found_iris
            points[list(iris), 2] = face[list(lids), 2].mean()
        return points


def face_points(network: Network, image: NDArray[np.uint8], window: Crop) -> tuple[Float, float]:
    """The 468 points `[468,3]` in a window, pixels of the picture, and the certainty that it shows a face."""
    raw, logit = network(window.cut(image, FACE_SIDE).astype(np.float32) / 255)
    values = raw.reshape(-1, 3).astype(np.float64) / FACE_SIDE
    points = np.column_stack([window.to_picture(values[:, :2]), values[:, 2] * window.size])
    return points, float(1 / (1 + np.exp(-np.clip(logit[0], -50, 50))))


def eye_points(network: Network, image: NDArray[np.uint8], window: Crop, mirrored: bool) -> tuple[Float, Float]:
    """The lids `[16,2]` and the iris `[5,2]` in the window of an eye.

    Args:
        network: the iris network, which knows the subject's right eye only.
        image: the picture.
        window: the square around the eye.
        mirrored: whether to show the network a mirror image: for the left eye.
    """
    contours, iris = network(window.cut(image, EYE_SIDE, mirrored).astype(np.float32) / 255)
    both = np.concatenate([contours.reshape(-1, 3)[:16, :2], iris.reshape(-1, 3)[:, :2]]).astype(np.float64) / EYE_SIDE
    if mirrored:
        both[:, 0] = 1 - both[:, 0]
    found = window.to_picture(both)
    return found[:16], found[16:]


def _window_of(points: Float, level: tuple[int, int], scale: float) -> Crop:
    """The square around points `[N,2+]` in which the two `level` ones are level, `scale` times as large."""
    right, left = points[list(level), :2]
    angle = float(np.arctan2(*(left - right)[::-1]))
    c, s = np.cos(angle), np.sin(angle)
    turned = points[:, :2] @ np.array([[c, -s], [s, c]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    x, y = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
    return Crop(float(x), float(y), float((high - low).max() * scale), angle)
