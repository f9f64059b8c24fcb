"""How far the parts of the fitted face are from the landmarks, in millimetres.

An image error is small where a nose has moved along the cameras' rays or a texture explains it away; the landmarks,
triangulated without the model, still say where the nose is.
"""

from __future__ import annotations

import numpy as np

from headfit.capture import CaptureSource
from headfit.capture.source import read_or_none
from headfit.capture.triangulate import triangulate
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced

#: Parts of the face and their points in iBUG's order. The jaw line is left out: its points are not fixed on the skin.
GROUPS = {"brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48), "lips": slice(48, 68)}
#: Number of frames that are compared; least number of views that must agree on a point.
FRAMES, MIN_VIEWS = 12, 3
#: Distance (millimetres) from which a part is worth a look: detectors and head models place their points differently
#: by one or two.
FAR_MM = 3.5


def landmark_distances(model: FittedHead, capture: CaptureSource) -> dict[str, float]:
    """Median distance (mm) of the fitted landmarks of each of `GROUPS` from the triangulated ones, where there are any.

    Args:
        model: the fit.
        capture: has the fit's frames and cameras, in its order; held-out cameras are used, too.
    """
    if not model.use_landmarks:
        return {}
    found: dict[str, list[float]] = {}
    for frame in evenly_spaced(len(capture.frames), FRAMES).tolist():
        views = {
            camera: points
            for camera in range(len(capture.cameras))
            if (points := read_or_none(capture.landmarks, camera, frame)) is not None
        }
        if len(views) < MIN_VIEWS:
            continue
        points = np.stack(list(views.values()))
        world, _, agrees = triangulate([model.capture.cameras[c] for c in views], points[..., :2], points[..., 2])
        distance = np.linalg.norm(model.head.landmarks(model.vertices(frame)).cpu().numpy() - world, axis=-1)
        sure = (agrees.sum(0) >= MIN_VIEWS) & np.isfinite(distance)
        for name, part in GROUPS.items():
            found.setdefault(name, []).extend((1e3 * distance[part][sure[part]]).tolist())
    return {name: round(float(np.median(values)), 2) for name, values in found.items() if values}
