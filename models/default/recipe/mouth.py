"""Reshape MakeHuman's mouth: add a palate and a floor, and give the tongue depth.

MakeHuman's cavity is a sac that rises to the height of the nose, with the rows of teeth floating in it; its tongue is
a sheet half a centimetre thick that ends in a straight edge. Here the cavity is pulled to the gums, forming a vault
over the upper arch, a floor under the tongue and folds behind the lips; the tongue gets depth and a round tip.
"""

from itertools import pairwise

import numpy as np
from crop import SoftMesh
from labels import ordered_loop, walking_distance
from solids import Solid

VAULT = 0.011  # metres from the gums' upper end to the palate (anatomy: 15 to 20 mm above the chewing edges)
HOLD = 0.003  # metres by which the gums' ends are embedded in flesh
SOFTNESS = 0.002  # metres over which the clamping to vault and floor is smoothed
LIP_FADE = (0.008, 0.018)  # metres behind the lip slit over which the reshaping fades in
TONGUE_DEPTH = 0.009  # metres by which the underside is lowered at the root ...
TONGUE_DEPTH_RANGE = (0.022, 0.052)  # ... fading between these z
TIP_RANGE = (0.046, 0.060)  # z over which the tip is rounded
TIP_ROUND = 0.006  # metres by which the tip's corners move back
TIP_HALF_WIDTH = 0.0105


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def mouth_shape(soft: SoftMesh, rest: np.ndarray, solids: dict[str, Solid]) -> np.ndarray:
    """Displacement `[V,3]` of the soft vertices at `rest [V,3]` (metres) that reshapes cavity and tongue."""
    move = np.zeros_like(rest)
    move[:, 1] = _cavity(soft, rest, solids)
    tongue = np.unique(soft.quads[soft.islands == "tongue"])
    move[tongue] = _tongue(soft, rest)[tongue]
    return move


def _cavity(soft: SoftMesh, rest: np.ndarray, solids: dict[str, Solid]) -> np.ndarray:
    """Vertical displacement `[V]` of the cavity's vertices."""
    quads = soft.quads[np.isin(soft.islands, ("skin", "mouth_cavity"))]
    slit = ordered_loop(soft.loop_between("skin", "mouth_cavity"))
    distance, _ = walking_distance(rest, quads, slit)
    inner = np.zeros(len(rest), bool)
    inner[np.unique(soft.quads[soft.islands == "mouth_cavity"])] = True
    x, y, z = rest.T
    upper, lower = solids["upper_gums"].vertices, solids["lower_gums"].vertices
    ceiling = _by_depth(upper, z, lambda part: part[:, 1].max()) - HOLD
    ceiling += VAULT * (1 - (x / _half_width(upper, z)) ** 2).clip(0) * smoothstep(-z, -0.066, -0.045)
    floor = _by_depth(lower, z, lambda part: part[:, 1].min()) + HOLD
    lowered = ceiling - SOFTNESS * np.logaddexp(0, (ceiling - y) / SOFTNESS)
    raised = floor + SOFTNESS * np.logaddexp(0, (lowered - floor) / SOFTNESS)
    return np.where(inner, (raised - y) * smoothstep(distance.clip(max=1), *LIP_FADE), 0)


def _by_depth(gums: np.ndarray, z: np.ndarray, measure) -> np.ndarray:
    """`measure` of the vertices of a gum in slices along z, interpolated at depths `z`; constant beyond its ends."""
    edges = np.linspace(gums[:, 2].min(), gums[:, 2].max(), 9)
    slices = [gums[(gums[:, 2] >= a) & (gums[:, 2] <= b)] for a, b in pairwise(edges)]
    return np.interp(z, (edges[1:] + edges[:-1]) / 2, [measure(part) for part in slices])


def _half_width(gums: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Half the width between the lingual sides of a gum at depths `z`: 12 mm less than outside, at least 6 mm."""
    return np.maximum(_by_depth(gums, z, lambda part: abs(part[:, 0]).max()) - 0.012, 0.006)


def _tongue(soft: SoftMesh, rest: np.ndarray) -> np.ndarray:
    """Displacement `[V,3]` that lowers the tongue's underside and rounds its tip."""
    quads = soft.quads[soft.islands == "tongue"]
    corners = rest[quads]
    normal = np.zeros_like(rest)
    flat = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    for i in range(4):
        np.add.at(normal, quads[:, i], flat)
    down = (-normal[:, 1] / np.linalg.norm(normal, axis=1).clip(1e-12)).clip(0, 1)
    x, _, z = rest.T
    move = np.zeros_like(rest)
    move[:, 1] = -TONGUE_DEPTH * np.sqrt(down) * (1 - smoothstep(z, *TONGUE_DEPTH_RANGE))
    move[:, 2] = smoothstep(z, *TIP_RANGE) * (0.001 - TIP_ROUND * (abs(x) / TIP_HALF_WIDTH).clip(0, 1) ** 2)
    return move


def turned_fields(fields: np.ndarray, share: np.ndarray, moved: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Displacements `[U,V,3]` of units for vertices that have `moved` from where the fields were made.

    A vertex that rotates with the lower teeth keeps rotating about the same axis.

    Args:
        fields: `[U,V,3]` displacements at the old positions.
        share: `[V]` how far each vertex follows the lower teeth.
        moved: `[V,3]` new minus old positions.
        rotations: `[U,3,3]` rotation of the lower teeth by each unit.
    """
    turn = rotations - np.eye(3)
    return fields + share[:, None] * np.einsum("uij,vj->uvi", turn, moved)
