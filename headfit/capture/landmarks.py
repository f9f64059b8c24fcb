"""Detection of 68 facial landmarks in every view of a capture."""

from __future__ import annotations

import http.client
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.errors import HeadfitError
from headfit.types import Float

#: From an RGB image `[H,W,3]` uint8 to 68 iBUG points `[68,2]`, pixels from the top-left corner, and confidences `[68]`
#: in [0, 1]; None when no face is found.
Detector = Callable[[NDArray[np.uint8]], tuple[Float, Float] | None]
#: What a detector finds in an image.
Found = TypeVar("Found")


@dataclass
class DetectionSummary:
    """Numbers of views: landmarks written, no face found, landmarks already present, no usable image."""

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
    """Detect landmarks in every view and store them in the capture, with a progress bar.

    Args:
        capture: where images are read and landmarks are stored.
        detector: default: `face_alignment_detector`.
        overwrite: also process views that have landmarks; otherwise an interrupted run continues where it stopped.

    Raises:
        HeadfitError: the detector's weights cannot be loaded, or landmarks cannot be written.
    """
    return detect_in_views(
        capture,
        "landmarks",
        detector or face_alignment_detector(),
        is_there=lambda camera, frame: not overwrite and capture.has_landmarks(camera, frame),
        store=lambda camera, frame, found: capture.save_landmarks(camera, frame, _landmarks(*found)),
    )


def detect_in_views(
    capture: CaptureSource,
    title: str,
    detector: Callable[[NDArray[np.uint8]], Found | None],
    is_there: Callable[[int, int], bool],
    store: Callable[[int, int, Found], None],
) -> DetectionSummary:
    """Detect something in every view and store it, with a progress bar; returns what was done.

    Args:
        capture: where images are read.
        title: of the progress bar.
        detector: finds it in an image `[H,W,3]` uint8; None where it does not.
        is_there: whether a camera and frame have it already and are left alone.
        store: keeps what was found for a camera and frame.
    """
    summary = DetectionSummary()
    views = [(camera, frame) for camera in range(len(capture.cameras)) for frame in range(len(capture.frames))]
    for camera, frame in tqdm(views, unit="view", desc=title, leave=False):
        if is_there(camera, frame):
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
        store(camera, frame, found)
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
    weights are downloaded on first use. Raises HeadfitError when they cannot be loaded.
    """
    import face_alignment  # not at the top: the import takes seconds

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=device, compile=False)
    # No network, a refusal by the server, a lost connection; torch.hub reports a damaged file as RuntimeError.
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HeadfitError(
            f"the landmark detector's weights could not be loaded ({reason}); the fit also runs without landmarks"
        ) from error

    def detect(image: NDArray[np.uint8]) -> tuple[Float, Float] | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about every image without a face
            faces, scores, boxes = network.get_landmarks_from_image(
                image, return_bboxes=True, return_landmark_score=True
            )
        if not faces:
            return None
        largest = int(np.argmax([(box[2] - box[0]) * (box[3] - box[1]) for box in boxes]))
        return from_face_alignment(faces[largest], scores[largest])

    return detect


def from_face_alignment(points: Float, scores: Float) -> tuple[Float, Float]:
    """The package's points `[68,2]` and scores `[68]` as pixels from the corner and confidences in [0, 1].

    From its source (face_alignment 1.5, utils.py): a heat map's peak at index i is taken to be at i + 1/2 pixels of
    the map, from the corner. Scaled and shifted into the image (`transform_np`), the coordinates are truncated to
    whole numbers. So the result is the index of the pixel that contains the point, and the best estimate of the point
    is that pixel's centre, 1/2 further. (Measured with blobs instead of faces: the remaining error is 0.2 pixels of
    the 256-pixel face crop, towards the corner, and comes from the rounding of the crop itself.)
    A score is the peak of the sum of two heat maps, for the image and its mirror image, each at most about 1.
    """
    return np.asarray(points, dtype=np.float64) + 0.5, np.clip(np.asarray(scores, dtype=np.float64) / 2, 0, 1)
