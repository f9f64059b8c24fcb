"""The 68 facial landmarks of iBUG 300-W, MediaPipe's 478, and the files that hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.decode import DamagedFile
from headfit.capture.landmark_schemes import DENSE_COUNT, dense_to_sparse
from headfit.errors import HeadfitError
from headfit.files import make_folder, one_line, read_json, write_atomically
from headfit.types import Float

LANDMARK_COUNT = 68
#: A point further from the picture's corner, pixels, is damage.
FARTHEST = 1e6
#: The first points run along the jaw line. They are on the silhouette of each view and no fixed points of the skin.
CONTOUR_COUNT = 17


def read_landmarks(path: Path) -> Float:
    """Landmarks `[68,3]` (x, y in pixels, confidence) of a file in any of these forms:

        [[x, y, visible], ...]                                           visible: 0/1 or a confidence
        {"scheme": "ibug68", "points": [[x, y], ...], "visible": [...]}   visible is optional
        {"scheme": "mediapipe478", "points": [[x, y, z], ...], "scatter": [...]}   see `read_dense_landmarks`

    A point with a coordinate or confidence that is null becomes (0, 0, 0). Raises DamagedFile.
    """
    try:
        content: Any = read_json(path)
        if isinstance(content, dict):
            scheme = content.get("scheme", "ibug68")
            if scheme == "mediapipe478":
                dense = _dense(path, content)
                return dense_to_sparse(dense[:, :2], dense[:, 3])
            if scheme != "ibug68":
                raise DamagedFile(path, f"landmark scheme {scheme!r}: only 'ibug68' and 'mediapipe478' can be read")
            points = _as_floats(content["points"])
            visible = _as_floats(content.get("visible", [1] * len(points)))
            landmarks = np.column_stack([points, visible])
        else:
            landmarks = _as_floats(content)
    except DamagedFile:
        raise
    except (OSError, ValueError, TypeError, KeyError, OverflowError, HeadfitError) as error:
        raise DamagedFile(path, f"not a landmark file ({type(error).__name__}: {one_line(error)})") from error
    if landmarks.shape != (LANDMARK_COUNT, 3):
        raise DamagedFile(path, f"expected {LANDMARK_COUNT} points with x, y, visible; found {landmarks.shape}")
    landmarks[~np.isfinite(landmarks).all(axis=1)] = 0
    _require_near(path, landmarks[landmarks[:, 2] > 0])
    landmarks[np.abs(landmarks[:, :2]).max(axis=1) > FARTHEST] = 0
    landmarks[:, 2] = landmarks[:, 2].clip(0, 1)
    return landmarks


def write_landmarks(path: Path, landmarks: Float) -> None:
    """Write landmarks `[68,3]` as [[x, y, confidence], ...], making the folder.

    Coordinates are rounded to 1/1000 pixel, confidences to 4 digits.
    """
    if landmarks.shape != (LANDMARK_COUNT, 3):
        raise ValueError(f"expected landmarks [{LANDMARK_COUNT},3], got {list(landmarks.shape)}")
    make_folder(path.parent)
    rows = np.column_stack([landmarks[:, :2].round(3), landmarks[:, 2].round(4)])
    write_atomically(path, json.dumps(rows.tolist()))


def read_dense_landmarks(path: Path) -> Float | None:
    """Landmarks `[478,4]` of a file of scheme mediapipe478; None when the file holds others.

    The columns are x, y and z in pixels (z grows away from the camera, from an unknown depth) and the detector's
    scatter in pixels. Raises DamagedFile.
    """
    try:
        content: Any = read_json(path)
        if not isinstance(content, dict) or content.get("scheme") != "mediapipe478":
            return None
        return _dense(path, content)
    except DamagedFile:
        raise
    except (OSError, ValueError, TypeError, KeyError, OverflowError, HeadfitError) as error:
        raise DamagedFile(path, f"not a landmark file ({type(error).__name__}: {one_line(error)})") from error


def write_dense_landmarks(path: Path, landmarks: Float) -> None:
    """Write landmarks `[478,4]` (see `read_dense_landmarks`) in scheme mediapipe478, making the folder."""
    if landmarks.shape != (DENSE_COUNT, 4):
        raise ValueError(f"expected landmarks [{DENSE_COUNT},4], got {list(landmarks.shape)}")
    make_folder(path.parent)
    points, scatter = landmarks[:, :3].round(3).tolist(), landmarks[:, 3].round(3).tolist()
    write_atomically(path, json.dumps({"scheme": "mediapipe478", "points": points, "scatter": scatter}))


def _dense(path: Path, content: dict[str, Any]) -> Float:
    points, scatter = _as_floats(content["points"]), _as_floats(content["scatter"])
    if points.shape != (DENSE_COUNT, 3) or scatter.shape != (DENSE_COUNT,):
        raise DamagedFile(
            path, f"expected {DENSE_COUNT} points with x, y, z and scatter; found {points.shape} and {scatter.shape}"
        )
    if not (np.isfinite(points).all() and np.isfinite(scatter).all() and (scatter >= 0).all()):
        raise DamagedFile(path, "holds numbers that are not finite, or a negative scatter")
    _require_near(path, points)
    return np.column_stack([points, scatter])


def _require_near(path: Path, points: Float) -> None:
    if (np.abs(points[:, :2]) > FARTHEST).any():
        raise DamagedFile(path, "holds a point more than a million pixels from the picture")


def _as_floats(rows: Any) -> Float:
    return np.array(rows, dtype=np.float64)  # null becomes nan
