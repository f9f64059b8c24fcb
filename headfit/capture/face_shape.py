"""Do triangulated points look like a human face: its shape, its size, and not its mirror image?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headfit.types import Float, Int

#: Points of a typical adult face, millimetres: x to the subject's left, y up, z forward; the origin lies between the
#: outer corners of the eyes. iBUG number: ends of the brows, bridge, tip and base of the nose, corners of the eyes and
#: of the mouth, middle of the lips' outer borders.
FACE_LANDMARKS = {
    17: (-58.0, 20.0, -4.0),
    21: (-12.0, 22.0, 27.0),
    22: (12.0, 22.0, 27.0),
    26: (58.0, 20.0, -4.0),
    27: (0.0, 0.0, 20.0),
    30: (0.0, -39.0, 35.0),
    33: (0.0, -53.0, 18.0),
    36: (-45.0, 0.0, 0.0),
    39: (-18.0, -2.0, 6.0),
    42: (18.0, -2.0, 6.0),
    45: (45.0, 0.0, 0.0),
    48: (-24.0, -71.0, 0.0),
    51: (0.0, -64.0, 17.0),
    54: (24.0, -71.0, 0.0),
    57: (0.0, -82.0, 10.0),
}
#: The same for the centroids of mask regions, in the order of `centroids.REGIONS`: left eye, right eye, lips, head.
FACE_REGIONS = {0: (32.0, 0.0, 5.0), 1: (-32.0, 0.0, 5.0), 2: (0.0, -72.0, 10.0), 3: (0.0, -10.0, -60.0)}
#: Metres between the outer corners of the eyes of the typical face, and of any face from an infant's to a giant's.
EYE_DISTANCE, PLAUSIBLE_EYE_DISTANCE = 0.090, (0.055, 0.14)
#: Misfit (share of the face's size) above which points are no face; least misfit of a face that is called mirrored.
MAX_MISFIT, MIN_MIRRORED_MISFIT = 0.4, 0.12
#: Ratio of the misfits of the mirrored and the right-handed face below which a face is mirrored.
MIRRORED_RATIO = 0.7
#: Fewest points by which a face is judged.
MIN_POINTS = 4


class FaceFit(NamedTuple):
    """How points compare with the typical face under the best similarity transform.

    misfit: root mean square distance as a share of the points' own size: 0 is the typical face.
    mirrored: the mirror image of the face fits clearly better.
    eye_distance: metres between the outer corners of the eyes by the scale of the fit.
    """

    misfit: float
    mirrored: bool
    eye_distance: float

    @property
    def plausible_size(self) -> bool:
        """Whether a human face has this size."""
        return PLAUSIBLE_EYE_DISTANCE[0] <= self.eye_distance <= PLAUSIBLE_EYE_DISTANCE[1]


def fit_face(points: Float, names: Int, table: dict[int, tuple[float, float, float]]) -> FaceFit | None:
    """Compare points with the typical face; None where fewer than `MIN_POINTS` are known.

    Args:
        points: `[N,3]`, metres; nan where unknown.
        names: `[N]`, the key in `table` of each point.
        table: the typical face, `FACE_LANDMARKS` or `FACE_REGIONS`.

    With both centred, the similarity of least squared error follows from the singular values s of their correlation
    (Umeyama, 1991): scale (s0 + s1 + d s2) / |face|^2, d = 1 or -1 as the determinant says. The sign of s2 reversed
    gives the fit of the mirror image.
    """
    known = np.isfinite(points).all(axis=1) & np.isin(names, list(table))
    if known.sum() < MIN_POINTS:
        return None
    face = np.array([table[int(name)] for name in names[known]]) / 1000
    face = face - face.mean(axis=0)
    centred = points[known] - points[known].mean(axis=0)
    norms = np.linalg.norm(face) * np.linalg.norm(centred)
    if norms == 0:
        return None
    u, s, vt = np.linalg.svd(face.T @ centred)
    handed = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    proper, mirrored = s[0] + s[1] + handed * s[2], s[0] + s[1] - handed * s[2]
    misfit, mirror_misfit = (float(np.sqrt(max(0.0, 1 - (x / norms) ** 2))) for x in (proper, mirrored))
    scale = float(max(proper, mirrored) / np.linalg.norm(face) ** 2)
    is_mirrored = misfit > MIN_MIRRORED_MISFIT and mirror_misfit < MIRRORED_RATIO * misfit
    return FaceFit(misfit, bool(is_mirrored), scale * EYE_DISTANCE)
