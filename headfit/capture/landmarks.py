"""Detecting 68 facial landmarks in every view and writing them where the capture's format wants them."""

from __future__ import annotations

import http.client
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.errors import HeadfitError

Float = NDArray[np.float64]

# From an RGB image [H,W,3] uint8 to 68 iBUG points [68,2], pixels from the top-left corner, with
# confidences [68] in [0, 1]; None where no face is found.
Detector = Callable[[NDArray[np.uint8]], tuple[Float, Float] | None]


@dataclass
class DetectionSummary:
    """How many views got landmarks, showed no face, were left as they were, or had no usable image."""

    written: int = 0
    without_face: int = 0
    kept: int = 0
    without_image: int = 0

    def __str__(self) -> str:
        return (
            f"landmarks written for {self.written} views; no face found in {self.without_face}; "
            f"{self.kept} had landmarks already; {self.without_image} without a usable image"
        )


def detect_landmarks(
    capture: CaptureSource, detector: Detector | None = None, overwrite: bool = False
) -> DetectionSummary:
    """Write landmarks/<camera>/<frame>.json, [[x, y, confidence], ...], for every view, with a progress bar.

    detector: default the face-alignment package's, see `face_alignment_detector`. overwrite: also views
    that have a landmark file; otherwise an interrupted run continues where it stopped.
    Raises HeadfitError when the detector's weights cannot be had.
    """
    detector = detector or face_alignment_detector()
    summary = DetectionSummary()
    views = [(camera, frame) for camera in range(len(capture.cameras)) for frame in range(len(capture.frames))]
    for camera, frame in tqdm(views, unit="view", desc="landmarks", leave=False):
        if capture.has_landmarks(camera, frame) and not overwrite:
            summary.kept += 1
            continue
        image = read_or_none(capture.image, camera, frame, on_damage=lambda damage: tqdm.write(str(damage)))
        if image is None:
            summary.without_image += 1
            continue
        found = detector(image)
        if found is None:
            summary.without_face += 1
            continue
        capture.save_landmarks(camera, frame, _landmarks(*found))
        summary.written += 1
    return summary


def _landmarks(points: Float, confidences: Float) -> Float:
    """Landmarks `[68,3]` of what a detector returned."""
    if points.shape != (LANDMARK_COUNT, 2) or confidences.shape != (LANDMARK_COUNT,):
        raise ValueError(
            f"a detector must return points [{LANDMARK_COUNT},2] and confidences [{LANDMARK_COUNT}], got "
            f"{list(points.shape)} and {list(confidences.shape)}"
        )
    return np.column_stack([points, confidences.clip(0, 1)])


def face_alignment_detector() -> Detector:
    """The 2D network of the face-alignment package, on the GPU when there is one.

    Bulat and Tzimiropoulos, How far are we from solving the 2D & 3D face alignment problem?, ICCV 2017. The
    weights are downloaded on first use; raises HeadfitError when they cannot be.
    """
    import face_alignment  # here: it takes seconds, and only this needs it

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=device, compile=False)
    # No network, a server's refusal, a connection cut off; torch.hub tells a damaged file by RuntimeError.
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HeadfitError(
            f"the landmark detector's weights could not be loaded ({reason}); the fit also runs without landmarks"
        ) from error

    def detect(image: NDArray[np.uint8]) -> tuple[Float, Float] | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every image without a face
            faces, scores, boxes = network.get_landmarks_from_image(
                image, return_bboxes=True, return_landmark_score=True
            )
        if not faces:
            return None
        largest = int(np.argmax([(box[2] - box[0]) * (box[3] - box[1]) for box in boxes]))
        return from_face_alignment(faces[largest], scores[largest])

    return detect


def from_face_alignment(points: Float, scores: Float) -> tuple[Float, Float]:
    """The package's points [68,2] and scores [68] as pixels from the corner and confidences in [0, 1].

    Read from its source (face_alignment 1.5, utils.py): the peak of a heat map at index i is taken to lie at
    i + 1/2 of the map's pixels, counted from the corner. Scaled and shifted into the image (`transform_np`)
    it is cut to whole numbers. So the result is the pixel that the point falls into, and that pixel's centre,
    one half further, estimates the point. (Measured with blobs in place of faces: what remains is 0.2 pixels
    of the 256-pixel face crop, towards the corner, from the crop's own rounding.)
    A score is the peak of the sum of two heat maps, of the image and its mirror image, each at most about 1.
    """
    return np.asarray(points, dtype=np.float64) + 0.5, np.clip(np.asarray(scores, dtype=np.float64) / 2, 0, 1)
