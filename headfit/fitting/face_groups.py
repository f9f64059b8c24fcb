"""How far the parts of the fitted face are from the landmarks, in millimetres.

An image error is small where a nose has moved along the cameras' rays or a texture explains it away; the landmarks,
triangulated without the model, still say where the nose is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from headfit.capture import CaptureSource
from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.landmark_schemes import SPARSE
from headfit.capture.source import read_or_none
from headfit.capture.triangulate import triangulate
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.types import Float

#: Parts of the face and their points in iBUG's order. The jaw line is left out: its points are not fixed on the skin.
GROUPS = {"brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48), "lips": slice(48, 68)}
#: Number of frames that are compared; least number of views that must agree on a point.
FRAMES, MIN_VIEWS = 12, 3
#: Distance (millimetres) from which a part is worth a look: head models and detectors place their points differently by
#: one or two, and MediaPipe's were up to 4.5 from the true ones (see `headfit.fitting.harm`).
FAR_MM = 4.5


def landmark_distances(model: FittedHead, capture: CaptureSource) -> dict[str, float]:
    """Median distance (mm) of the fitted landmarks of each of `GROUPS` from the triangulated ones, where there are any.

    Args:
        model: the fit.
        capture: has the fit's frames and cameras, in its order; held-out cameras are used, too.
    """
    if not model.use_landmarks:
        return {}
    frames = evenly_spaced(len(capture.frames), FRAMES).tolist()
    fitted = np.stack([judged_landmarks(model, model.vertices(frame)) for frame in frames])
    return group_distances(fitted, triangulated_landmarks(model, capture, frames, range(len(capture.cameras))))


def judged_landmarks(model: FittedHead, vertices: Tensor) -> Float:
    """The landmarks `[...,68,3]` of vertices `[...,V,3]` that are compared with the capture's.

    Where those are made of dense ones, they are the means of the same ones on the head, nan where it lacks one: points
    picked for iBUG are some millimetres from where MediaPipe sees them.
    """
    picked: Float = model.head.landmarks(vertices).cpu().numpy()
    if not model.use_dense_landmarks:
        return picked
    dense = model.head.dense_landmarks(vertices).cpu().numpy()
    place = {number: index for index, number in enumerate(model.dense_numbers)}
    for landmark, sources in enumerate(SPARSE):
        known = all(number in place for number in sources)
        picked[..., landmark, :] = dense[..., [place[n] for n in sources], :].mean(-2) if known else np.nan
    return picked


def triangulated_landmarks(
    model: FittedHead, capture: CaptureSource, frames: Sequence[int], cameras: Sequence[int]
) -> Float:
    """Landmarks `[N,68,3]` of some frames (metres, the fit's local frame), triangulated without the model; nan where
    fewer than `MIN_VIEWS` views agree.

    Args:
        model: says where the cameras are.
        capture: has the fit's frames and cameras, in its order.
        frames, cameras: indices of those that are used.
    """
    found = np.full((len(frames), LANDMARK_COUNT, 3), np.nan)
    for row, frame in enumerate(frames):
        views = {c: points for c in cameras if (points := read_or_none(capture.landmarks, c, frame)) is not None}
        if len(views) >= MIN_VIEWS:
            points = np.stack(list(views.values()))
            world, _, agrees = triangulate([model.capture.cameras[c] for c in views], points[..., :2], points[..., 2])
            found[row] = np.where((agrees.sum(0) >= MIN_VIEWS)[:, None], world, np.nan)
    return found


def group_distances(fitted: Float, triangulated: Float) -> dict[str, float]:
    """Median distance (mm) of each of `GROUPS` over landmarks `[N,68,3]` (metres); nan: not known."""
    distance = 1e3 * np.linalg.norm(fitted - triangulated, axis=-1)
    parts = {name: distance[:, part] for name, part in GROUPS.items()}
    return {name: round(float(np.nanmedian(d)), 2) for name, d in parts.items() if np.isfinite(d).any()}
