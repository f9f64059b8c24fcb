"""Resolve penetrations between parts: flesh yields to teeth, lids to eyeballs, lips to each other.

Where headfit.modelling.penetration finds a point behind a surface, the cage of the flesh is moved by the smallest
smooth displacement that resolves the contact: first in the mean, then in every face unit at full strength, alone and
combined with others.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from crop import SoftMesh
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree
from skeleton import graph_laplacian

from headfit.head.mesh_geometry import vertex_normals
from headfit.head.model import HeadModel
from headfit.modelling.penetration import PenetrationMeter, Reach

ROUNDS = 5
CLEARANCE = 1.0e-4  # metres left between two surfaces after a push
MAX_DEPTH = 0.006  # metres; a deeper point has passed through the flesh, and pushing it back would not help
SMOOTH_WEIGHT = 0.2  # least-squares weight of the squared Laplacian
ANCHOR_WEIGHT, SKIN_ANCHOR_WEIGHT = 0.005, 0.05  # least-squares weights of staying in place: flesh, outer skin
MAX_NORMAL_COSINE = -0.2  # between the normals of two surfaces in contact
TIE_WEIGHT, TIE_FALLOFF = 0.5, 0.006  # coupling of the two sides of a lip or cheek; its falloff with thickness (metres)
LIP_MIDDLE = 0.7  # central share of a lip's width in which the lips are separated
MAX_STEP, MIN_STEP = 0.003, 0.00003  # metres; smaller displacements are dropped, so that units stay local
CO_ACTIVE = {
    "mouthClose": [{"jawOpen": 1.0}],
    "tongueOut": [{"jawOpen": 0.6}],
    **{name: [{"jawOpen": 0.7}] for name in ("tongueUp", "tongueDown", "tongueLeft", "tongueRight", "tongueRoll")},
}
TOUCHING = ("mouth", "jaw", "tongue", "eye", "cheekPuff")  # units that can bring parts into contact
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")  # units whose lids follow the eyeball instead of a straight line
JAW_OPEN = {"jawOpen": 0.4}  # other mouth units are tested alone and with this
GAZE = {"Up": (-0.5, 0, 0), "Down": (0.6, 0, 0)}  # rotation of the eye (radians) at full eyeLookUp and eyeLookDown
GAZE_SIDE = 0.55  # ... and at full eyeLookIn and eyeLookOut


@dataclass
class Pushes:
    """Rows of the linear system: how fine vertices in contact must move relative to each other (metres)."""

    vertex_count: int
    rows: list[sp.csr_matrix] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)

    def add(self, reach: Reach, points: np.ndarray | None, give: bool, facing: np.ndarray | None = None) -> None:
        """Add one row per penetrating point.

        Args:
            reach: the points' depths behind a surface.
            points: vertex ids of the points, which move; None: they stay.
            give: the surface moves.
            facing: `[N,3]` unit normals at the points; if given, points that do not face the surface are skipped.
        """
        meet = (reach.depth > 0) & (reach.depth < MAX_DEPTH)
        if facing is not None:
            meet &= (reach.normal * facing).sum(1) < MAX_NORMAL_COSINE
        deep = np.flatnonzero(meet)
        if not len(deep):
            return
        n = np.arange(len(deep))
        row = sp.csr_matrix((len(deep), self.vertex_count))
        if give:
            bary, corners = reach.bary[deep], reach.corners[deep]
            row = row - sp.csr_matrix((bary.ravel(), (np.repeat(n, 3), corners.ravel())), shape=row.shape)
        if points is not None:
            row = row + sp.csr_matrix((np.ones(len(deep)), (n, points[deep])), shape=row.shape)
        gap = reach.gap[deep]
        self.rows.append(row)
        self.targets.append(-gap * (1 + CLEARANCE / reach.depth[deep, None]))


def _middle(ids: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The vertices of a lip away from the corners of the mouth, where skin folds onto itself."""
    return ids[abs(v[ids, 0]) < LIP_MIDDLE * abs(v[ids, 0]).max()]


class ContactSolver:
    """Moves the cage of a head so that its parts do not penetrate each other.

    Args:
        arrays: the head's arrays; they are not modified.
        soft: the soft part of its cage.
    """

    def __init__(self, arrays: dict[str, np.ndarray], soft: SoftMesh) -> None:
        self.model = HeadModel(arrays)
        self.names = [str(n) for n in arrays["expression_names"]]
        self.n_soft = len(soft.ids)
        self.meter = PenetrationMeter(self.model, self.posed({}, {}))
        rest = self.posed({}, {})
        self.lip_middle = {n: _middle(lip.vertices, rest) for n, lip in self.meter.lips.items()}
        matrix = (arrays["subdivision_data"], arrays["subdivision_indices"], arrays["subdivision_indptr"])
        self.fine = sp.csr_matrix(matrix, shape=(self.model.vertex_count, self.model.cage_count))[:, : self.n_soft]
        laplacian = graph_laplacian(soft.quads, self.n_soft)
        anchor = np.full(self.n_soft, ANCHOR_WEIGHT)
        anchor[np.unique(soft.quads[np.isin(soft.islands, ("skin", "chest"))])] = SKIN_ANCHOR_WEIGHT
        ties = self._ties(soft)
        self.regular = (SMOOTH_WEIGHT * laplacian.T @ laplacian + sp.diags(anchor) + ties.T @ ties).tocsc()

    def _ties(self, soft: SoftMesh) -> sp.csr_matrix:
        """Rows that couple each vertex of the mouth cavity to the nearest vertex of the skin in front of it."""
        mean = self.model.mean[: self.n_soft].double().numpy()
        skin, cavity = (np.unique(soft.quads[soft.islands == name]) for name in ("skin", "mouth_cavity"))
        cavity = np.setdiff1d(cavity, skin)
        distance, nearest = KDTree(mean[skin]).query(mean[cavity])
        weight = np.sqrt(TIE_WEIGHT) * np.exp(-0.5 * (distance / TIE_FALLOFF) ** 2)
        n = np.arange(len(cavity))
        shape = (len(cavity), self.n_soft)
        return sp.csr_matrix((weight, (n, cavity)), shape=shape) - sp.csr_matrix(
            (weight, (n, skin[nearest])), shape=shape
        )

    def posed(self, units: dict[str, float], gaze: dict[str, tuple[float, ...]]) -> np.ndarray:
        """Fine vertices `[V,3]`."""
        expression = torch.zeros(1, len(self.names))
        for name, weight in units.items():
            expression[0, self.names.index(name)] = weight
        joints = torch.zeros(1, len(self.model.joint_names), 6)
        for name, turn in gaze.items():
            joints[0, self.model.joint_names.index(name), :3] = torch.tensor(turn)
        with torch.no_grad():
            v = self.model(torch.zeros(len(self.model.identity_basis)), expression, joints)
        return v[0].double().numpy()

    def pushes(self, v: np.ndarray, lips: bool) -> Pushes:
        """All penetrations among vertices `v [V,3]`; `lips`: including those of one lip into the other."""
        meter, found = self.meter, Pushes(len(v))
        normals = vertex_normals(v, meter.all_faces)
        tongue = meter.tongue_top
        for jaw, crown in meter.crowns.items():
            lining, flesh = meter.lining.reach(v[crown], v), meter.skin.reach(v[crown], v)
            found.add(lining, None, give=True, facing=normals[crown])
            flesh.depth[lining.depth > 0] = 0
            found.add(flesh, None, give=True, facing=normals[crown])
            found.add(meter.jaws[jaw].reach(v[tongue], v), tongue, give=False, facing=normals[tongue])
            found.add(meter.tongue.reach(v[crown], v), None, give=True, facing=normals[crown])
        found.add(meter.lining.reach(v[tongue], v), tongue, give=True, facing=normals[tongue])
        for one, other in (("lower_lip", "upper_lip"), ("upper_lip", "lower_lip")) if lips else ():
            lip = self.lip_middle[other]
            found.add(meter.lips[one].reach(v[lip], v), lip, give=True, facing=normals[lip])
        for side, eye in meter.eyes.items():
            found.add(eye.reach(v[meter.lids[side]], v), meter.lids[side], give=False)
        return found

    def resolve(self, poses: list[tuple[dict, dict]], change, lips: bool = False) -> float:
        """Move the cage until no part penetrates another in the given poses, or `ROUNDS` are used up.

        Args:
            poses: (units, joint rotations) to test.
            change: applies a displacement `[n_soft,3]` (metres) of the cage to the model.
            lips: also separate the lips.

        Returns:
            The largest displacement of a cage vertex, metres.
        """
        total = np.zeros((self.n_soft, 3))
        for _ in range(ROUNDS):
            found = [self.pushes(self.posed(*pose), lips) for pose in poses]
            rows = [row for pushes in found for row in pushes.rows]
            if not rows:
                break
            a = sp.vstack(rows).tocsr() @ self.fine
            b = np.concatenate([target for pushes in found for target in pushes.targets])
            # The regulariser acts on the total displacement, not only on this step.
            system = (a.T @ a + self.regular).tocsc()
            step = splu(system).solve(a.T @ b - self.regular @ total)
            length = np.linalg.norm(step, axis=1, keepdims=True)
            step *= np.minimum(1, MAX_STEP / length.clip(1e-9)) * (length > MIN_STEP)
            total += step
            change(step)
        return float(np.linalg.norm(total, axis=1).max())


def _poses(name: str) -> list[tuple[dict[str, float], dict[str, tuple[float, ...]]]]:
    """The poses (units, joint rotations) in which one unit is tested, at full strength."""
    full = {name: 1.0}
    if name.startswith("eyeLook"):
        side, way = ("left_eye", name[7:-4]) if name.endswith("Left") else ("right_eye", name[7:-5])
        sign = 1 if (way == "Out") == (side == "left_eye") else -1  # a positive rotation about y looks to the left
        return [(full, {}), (full, {side: GAZE.get(way, (0, sign * GAZE_SIDE, 0))})]
    if name in CO_ACTIVE:
        return [(full | more, {}) for more in CO_ACTIVE[name]]
    if name.startswith("mouth"):
        return [(full, {}), (full | JAW_OPEN, {})]
    return [(full, {})]


def resolve_contacts(arrays: dict[str, np.ndarray], soft: SoftMesh) -> dict[str, np.ndarray]:
    """The head's arrays with mean, expression basis and combinations corrected for contacts."""
    solver = ContactSolver(arrays, soft)
    mean, basis = arrays["mean"].copy(), arrays["expression_basis"].copy()
    n = solver.n_soft

    def move_mean(step: np.ndarray) -> None:
        mean[:n] += step
        solver.model.mean[:n] = torch.from_numpy(mean[:n]).float()

    moved = {"mean": solver.resolve([({}, {})], move_mean, lips=True)}
    # jawOpen first, because other units are tested in combination with it.
    for name in sorted(solver.names, key=lambda n: n != "jawOpen"):
        unit = solver.names.index(name)

        def move_unit(step: np.ndarray, unit: int = unit) -> None:
            basis[unit, :n] += step
            solver.model.expression_basis[unit, :n] = torch.from_numpy(basis[unit, :n]).float()

        if name.startswith(TOUCHING):
            moved[name] = solver.resolve(_poses(name), move_unit)
    # Half-way through a blink the straight path cuts into the eyeball. Adds 4 w (1 - w) times a bulge: 4 w of it to
    # the unit and -4 w^2 to the combination of the unit with itself.
    bulges = arrays["combination_basis"].copy()
    for row, name in enumerate(BLINKS):
        unit = solver.names.index(name)

        def bulge(step: np.ndarray, row: int = row, unit: int = unit) -> None:
            bulges[row, :n] -= 4 * step
            solver.model.combination_basis[row, :n] = torch.from_numpy(bulges[row, :n]).float()
            basis[unit, :n] += 4 * step
            solver.model.expression_basis[unit, :n] = torch.from_numpy(basis[unit, :n]).float()

        moved[f"half {name}"] = solver.resolve([({name: 0.5}, {}), ({name: 0.7}, {})], bulge)
    print("largest correction (mm):", ", ".join(f"{k} {1e3 * v:.1f}" for k, v in moved.items() if v > 5e-4))
    return arrays | {"mean": mean, "expression_basis": basis, "combination_basis": bulges}
