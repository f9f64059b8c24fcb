"""Face units, joints, pivots and skinning weights on the cage."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from crop import SoftMesh, bone_subtree
from identity import similarity
from makehuman import FACE_UNITS, TONGUE, BaseMesh, Source
from scipy.sparse.linalg import spsolve

from headfit.modelling.subdivision import edges_of

JOINT_NAMES = ("neck", "jaw", "left_eye", "right_eye", "tongue", "lower_neck")
JOINT_PARENTS = (-1, -1, -1, -1, 1, 0)  # -1: the skull, which is the root

# Limits of each joint as (lowest, highest): degrees about x, y, z; then millimetres along x, y, z.
# Jaw: opening, 10 mm to either side by rotation or translation, 10 mm forward (Posselt's envelope of motion). Eyes: the
# range of the muscles, and a few millimetres of translation. The neck's two joints share its range of motion (AAOS).
JOINT_LIMITS = {
    "neck": ((-35, -45, -25, -10, -10, -10), (35, 45, 25, 10, 10, 10)),
    "jaw": ((-4, -9, -5, -10, -6, -5), (32, 9, 5, 10, 6, 12)),
    "left_eye": ((-45, -50, -12, -3, -3, -3), (50, 50, 12, 3, 3, 3)),
    "right_eye": ((-45, -50, -12, -3, -3, -3), (50, 50, 12, 3, 3, 3)),
    "tongue": ((-50, -45, -45, -15, -15, -25), (50, 45, 45, 15, 15, 25)),
    "lower_neck": ((-30, -45, -25, -10, -10, -10), (30, 45, 25, 10, 10, 10)),
}

# MakeHuman's blinks move the upper lid 4 mm past the lower one; scaled by this factor, the lids just meet.
STRENGTH = {"eyeBlinkLeft": 0.75, "eyeBlinkRight": 0.75}


def joint_limits() -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits `[J,6]` of the joints: axis-angle (radians) and translation (metres)."""
    degrees_mm = np.array([JOINT_LIMITS[name] for name in JOINT_NAMES], float)
    limits = degrees_mm * np.repeat([np.pi / 180, 1e-3], 3)
    return limits[:, 0], limits[:, 1]


def unit_names(source: Source) -> list[str]:
    return [n.rsplit("/", 1)[1].removesuffix(".target") for n in source.target_names(FACE_UNITS)]


def rigid_fit(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation R and translation t of target = R source + t, by least squares."""
    _, rotation, _ = similarity(source, target)
    return rotation, target.mean(0) - rotation @ source.mean(0)


def jaw_hinge(rest: np.ndarray, opened: np.ndarray) -> tuple[np.ndarray, float]:
    """Point on the axis (in the plane x = 0) and angle (radians) of the rotation from rest to opened lower teeth."""
    rotation, t = rigid_fit(rest, opened)
    angle = float(np.arctan2(rotation[2, 1], rotation[1, 1]))
    yz = np.linalg.solve(np.eye(2) - rotation[1:, 1:], t[1:])
    return np.array([0.0, *yz]), angle


def jaw_weights(rest: np.ndarray, opening: np.ndarray, hinge: np.ndarray, angle: float, soft: SoftMesh) -> np.ndarray:
    """Skinning weights `[V]` of the jaw on the soft vertices.

    A weight is the projection of the jawOpen displacement onto that of the full rotation, clamped to [0, 1] and
    smoothed, so that rotating the joint by the unit's angle gives the unit's shape (rigid where that is rigid).

    Args:
        rest: `[V,3]` rest positions, metres.
        opening: `[V,3]` displacements by jawOpen.
        hinge: `[3]` point on the jaw's axis.
        angle: rotation by jawOpen, radians.
        soft: the soft mesh.
    """
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    full = (rest - hinge) @ (rotation - np.eye(3)).T
    share = (opening * full).sum(1) / (full**2).sum(1).clip(1e-6)
    share = share.clip(0, 1)
    share[np.linalg.norm(opening, axis=1) < 1e-5] = 0
    share[np.unique(soft.quads[soft.islands == "tongue"])] = 1
    return smooth_field(share, soft.quads, strength=0.5)


def graph_laplacian(quads: np.ndarray, vertex_count: int) -> sp.csr_matrix:
    """Graph Laplacian (degree minus adjacency) `[V,V]` of the mesh's edges."""
    edges, _, _ = edges_of(quads)
    both = np.concatenate([edges, edges[:, ::-1]])
    adjacency = sp.csr_matrix((np.ones(len(both)), both.T), shape=(vertex_count, vertex_count))
    return sp.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency


def smooth_field(field: np.ndarray, quads: np.ndarray, strength: float) -> np.ndarray:
    """`field` after implicit diffusion (I + strength L)^-1 with the graph Laplacian; preserves constants and bounds."""
    n = len(field)
    return spsolve((sp.eye(n) + strength * graph_laplacian(quads, n)).tocsc(), field)


def harmonic_field(quads: np.ndarray, vertex_count: int, plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    """The harmonic field `[V]` that is +1 on `plus` and -1 on `minus`; 0 in components with neither."""
    value = np.zeros(vertex_count)
    value[plus], value[minus] = 1, -1
    free = np.ones(vertex_count, bool)
    free[plus], free[minus] = False, False
    laplacian = graph_laplacian(quads, vertex_count) + 1e-9 * sp.eye(vertex_count)
    value[free] = spsolve(laplacian[free][:, free].tocsc(), -(laplacian[free] @ value))
    return value


def neck_weights(source: Source, soft: SoftMesh, vertex_count: int) -> np.ndarray:
    """Weights `[V]` that rise from 0 on the skull over MakeHuman's three neck bones to 1 at the shoulders."""
    weights = source.skin_weights(vertex_count)
    stays = {"neck02": 1 / 3, "neck03": 2 / 3}
    below = {"neck01", *stays}
    skull = bone_share(source, "head", weights)
    moving = sum((1 - stays.get(bone, 0.0)) * weights[bone] for bone in below)
    shoulders = np.clip(1 - skull - sum(weights[b] for b in below), 0, 1)
    raw = (moving + shoulders)[soft.ids]
    raw[soft.ids >= TONGUE.start] = 0
    return smooth_field(raw, soft.quads, strength=1.0).clip(0, 1)


def bone_share(source: Source, root: str, weights: dict[str, np.ndarray]) -> np.ndarray:
    return sum(weights[bone] for bone in bone_subtree(source, root) if bone in weights)


def tongue_weights(rest: np.ndarray, soft: SoftMesh) -> np.ndarray:
    """Weights `[V]` from 0 at the tongue's root to 1 at its tip, by z; the remaining weight belongs to the jaw."""
    weight = np.zeros(len(rest))
    tongue = np.unique(soft.quads[soft.islands == "tongue"])
    z = rest[tongue, 2]
    t = ((z - z.min()) / (z.max() - z.min())).clip(0, 1)
    weight[tongue] = t**2 * (3 - 2 * t)
    return weight


@dataclass(frozen=True)
class Units:
    """The face units: `names [52]`, and displacements `fields [52,H,3]` of the handles, metres at base.obj's scale."""

    names: list[str]
    fields: np.ndarray


def read_units(source: Source, base: BaseMesh, handles: np.ndarray) -> Units:
    names = unit_names(source)
    count = len(base.vertices)
    fields = np.stack([source.target(f"{FACE_UNITS}{n}.target", count)[handles] for n in names])
    for name, factor in STRENGTH.items():
        fields[names.index(name)] *= factor
    return Units(names, fields)


def rigid_displacement(rest: np.ndarray, field: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Displacement `[V,3]` of a solid's vertices by the rigid motion that best fits a helper's displacement field."""
    if np.abs(field).max() < 1e-6:
        return np.zeros_like(solid)
    rotation, t = rigid_fit(rest, rest + field)
    return solid @ rotation.T + t - solid
