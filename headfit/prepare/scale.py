"""The size of the world, by what is nearly the same in every adult: the irises and the eyes' distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headfit.errors import HeadfitError
from headfit.prepare.bundle import Rig
from headfit.prepare.face_mesh import LEFT_IRIS, LEFT_LIDS, RIGHT_IRIS, RIGHT_LIDS
from headfit.prepare.landmark_tracks import facing, landmark_tracks, triangulated
from headfit.types import Float

#: Horizontal diameter of the visible iris in adults, metres, and the share by which people differ from it (Ruefer et
#: al., White-to-white corneal diameter, 2005: 11.7 mm, deviation 0.4 mm).
IRIS, IRIS_SPREAD = 0.0117, 0.036
#: Distance of the pupils in adults, metres, and the share by which people differ from it (Dodgson, Variation and
#: extrema of human interpupillary distance, 2004: mean 63 mm, deviation 3.7 mm).
EYES, EYES_SPREAD = 0.063, 0.058
#: Pixels by which the network's diameter of an iris may be off in every view alike.
IRIS_PIXELS = 1.0


@dataclass(frozen=True)
class Scale:
    """Metres per unit of the rig; `doubt`, a share of it; what it was found from, in words."""

    metres: float
    doubt: float
    source: str


def find_scale(rig: Rig, landmarks: Float, eye_distance: float | None = None) -> Scale:
    """The scale of a rig.

    Args:
        rig: the cameras.
        landmarks: `[V,F,478,4]` x, y, z and scatter in pixels; nan where no face was found.
        eye_distance: metres between the pupils, if it was measured.

    Raises:
        HeadfitError: no frame in which two cameras see each eye.
    """
    irises, eyes, pixels = _eyes(rig, landmarks)
    if not len(eyes):
        raise HeadfitError("no frame in which two cameras see each eye: the scale cannot be found")
    eyes_size, eyes_error = _typical(eyes)
    if eye_distance is not None:
        return Scale(eye_distance / eyes_size, eyes_error, f"the eyes' distance of {1000 * eye_distance:.1f} mm")
    by_eyes, eyes_doubt = EYES / eyes_size, np.hypot(EYES_SPREAD, eyes_error)
    iris_size, iris_error = _typical(irises)
    by_iris, iris_doubt = IRIS / iris_size, float(np.linalg.norm([IRIS_SPREAD, iris_error, IRIS_PIXELS / pixels]))
    # Both estimates, each by how certain it is; what they disagree by is doubt, too.
    weights = np.array([iris_doubt, eyes_doubt]) ** -2.0
    metres = float(np.exp(np.average(np.log([by_iris, by_eyes]), weights=weights)))
    doubt = float(max(weights.sum() ** -0.5, abs(np.log(by_iris / by_eyes)) / 2))
    words = (
        f"the irises ({1000 * metres * iris_size:.1f} mm) and the eyes' distance ({1000 * metres * eyes_size:.1f} mm)"
    )
    return Scale(metres, doubt, words)


def _eyes(rig: Rig, landmarks: Float) -> tuple[Float, Float, float]:
    """Diameters of the irises, and distances of their centres, in units of the rig; the median diameter in pixels."""
    chosen = [*RIGHT_IRIS, *LEFT_IRIS]
    facing_camera = facing(landmarks[..., :3])
    shown = np.repeat(
        np.stack([facing_camera[..., RIGHT_LIDS[0]], facing_camera[..., LEFT_LIDS[0]]], axis=-1), 5, axis=-1
    )
    irises, eyes, pixels = [], [], []
    for frame in np.flatnonzero((shown.sum(axis=0) >= 2).all(axis=-1)):
        one = landmarks[:, [frame]][:, :, chosen]
        visible = shown[:, [frame]]
        at = triangulated(rig, landmark_tracks(one[..., :3], one[..., 3], visible))
        irises += [np.linalg.norm(at[first + 1] - at[first + 3]) for first in (0, 5)]
        eyes.append(np.linalg.norm(at[0] - at[5]))
        across = np.linalg.norm(one[:, 0, [1, 6], :2] - one[:, 0, [3, 8], :2], axis=-1)
        pixels += across[visible[:, 0, [1, 6]]].tolist()
    return np.array(irises), np.array(eyes), float(np.median(pixels)) if pixels else np.nan


def _typical(values: Float) -> tuple[float, float]:
    """The median, and the standard error of the mean as a share of it."""
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median))) / median
    return median, spread / np.sqrt(len(values))
