"""Regions of the skin's labels as scalar fields on the fine vertices: positive inside, zero on the border.

Lips and ears come from MakeHuman's UV masks. The rest is drawn by hand in the head frame of the mean, in metres.
"""

import numpy as np
from labels import polyline_distance, sample_mask, upper_half, walking_distance
from makehuman import Source
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree
from skeleton import harmonic_field, smooth_field

INNER_LIP = 0.006  # metres of the mouth's lining behind the lip slit that are labelled lip
# Side view (z, y): hair is above the first curve, neck below the second.
HAIRLINE = [(-0.12, -0.062), (-0.06, -0.060), (-0.022, -0.045), (-0.012, -0.010), (0.012, -0.012), (0.02, -0.008)]
HAIRLINE += [(0.030, 0.022), (0.045, 0.048), (0.060, 0.066), (0.080, 0.076), (0.110, 0.078)]
JAWLINE = [(-0.12, -0.062), (-0.06, -0.055), (-0.02, -0.047), (0.0, -0.060), (0.01, -0.080), (0.025, -0.096)]
JAWLINE += [(0.045, -0.107), (0.060, -0.114), (0.072, -0.130), (0.11, -0.180)]
# Front view: half-width of the nose by height.
NOSE = [(-0.0525, 0.010), (-0.049, 0.0165), (-0.044, 0.0195), (-0.036, 0.0185), (-0.026, 0.0125), (-0.012, 0.0085)]
NOSE += [(0.002, 0.0065)]
NOSE_DEPTH = 0.060  # the nose is in front of this z
BROW_DROP, BROW_INNER, BROW_OUTER = 0.0012, 0.0042, 0.0018  # metres below the landmarks; half-widths at the two ends


def curve(points: list[tuple[float, float]], at: np.ndarray) -> np.ndarray:
    x, y = np.array(sorted(points)).T
    return PchipInterpolator(x, y)(at.clip(x[0], x[-1]))


def skin_fields(
    source: Source,
    fine: np.ndarray,
    quads: np.ndarray,
    original_uv: np.ndarray,
    islands: np.ndarray,
    slit: np.ndarray,
    landmarks: np.ndarray,
) -> dict[str, np.ndarray]:
    """Scalar fields `[V]` by name.

    Args:
        source: MakeHuman's UV masks.
        fine: `[V,3]` vertices of the fine soft mesh, metres.
        quads: `[Q,4]` its faces.
        original_uv: `[Q,2]` centre of each quad in MakeHuman's UV layout.
        islands: `[Q]` island name of each quad.
        slit: ordered vertices of the lip slit.
        landmarks: `[68,3]` metres.
    """
    skin = np.zeros(len(fine), bool)
    skin[np.unique(quads[islands == "skin"])] = True
    mirror = cKDTree(fine).query(fine * [-1, 1, 1])[1]

    def masked(name: str) -> np.ndarray:
        inside = sample_mask(source.uv_mask(name), original_uv) * (islands == "skin")
        total, count = np.zeros(len(fine)), np.zeros(len(fine))
        np.add.at(total, quads, inside[:, None])
        np.add.at(count, quads, 1)
        field = smooth_field(total / count.clip(min=1), quads, strength=1.0)
        return 0.5 * (field + field[mirror]) - 0.5

    x, y, z = fine.T
    distance, _ = walking_distance(fine, quads, slit)
    lips = np.where(skin, masked("lips"), (INNER_LIP - distance.clip(max=1)) / INNER_LIP)
    chest = np.zeros(len(fine), bool)
    chest[np.unique(quads[islands == "chest"])] = True
    upper = upper_half(fine, slit)
    lower = np.setdiff1d(slit, upper)
    hair = np.where(skin, y - curve(HAIRLINE, z), -1.0)
    nose = np.minimum(curve(NOSE, y) - abs(x), np.minimum(y - NOSE[0][0], NOSE[-1][0] - y))
    brows = np.full(len(fine), -1.0)
    for line in (landmarks[17:22], landmarks[26:21:-1]):  # from the temple towards the nose
        gap, along = polyline_distance(fine, line - [0, BROW_DROP, 0])
        brows = np.maximum(brows, BROW_OUTER + (BROW_INNER - BROW_OUTER) * along - gap)
    return {
        "lips": lips,
        "upper_lip": harmonic_field(quads, len(fine), upper[1:-1], lower),
        "brows": np.where(skin, brows, -1.0),
        "ears": np.where(skin, masked("ears"), -1.0),
        "nose": np.where(skin, np.minimum(nose, z - NOSE_DEPTH), -1.0),
        "hair": hair,
        "neck": np.where(skin, curve(JAWLINE, z) - y, np.where(chest, 1.0, -1.0)),
    }
