"""Parts that reach into one another are parted: flesh gives way to teeth, lids to eyeballs, lips to each other.

Where headfit.modelling.penetration finds a point behind a surface, the flesh's cage is moved by the smallest smooth
displacement that brings the two together again: first of the mean, then of every face unit at full strength, alone
and in company.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from crop import SoftMesh
from rig import graph_laplacian
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from headfit.head.mesh_geometry import vertex_normals
from headfit.head.model import HeadModel
from headfit.modelling.penetration import PenetrationMeter, Reach

ROUNDS = 5
CLEARANCE = 1.0e-4  # metres beyond mere touch
DEEPEST = 0.006  # what is deeper than this is on its way through, and no push would help
SMOOTH, STAY, SKIN_STAYS = 0.2, 0.005, 0.05  # of the least squares: Laplacian, rest, rest of the outer skin
OPPOSED = -0.2  # cosine between the normals of two sides in contact, at most
TIED, TIED_REACH = 0.5, 0.006  # how much the two sides of a lip or cheek move as one, fading over this thickness
LIP_MIDDLE = 0.7  # share of a lip's width in which the lips are kept apart
LONGEST_STEP, SHORTEST_STEP = 0.003, 0.00003  # metres; shorter ones are left out, so that units stay local
COMPANY = {
    "mouthClose": [{"jawOpen": 1.0}],
    "tongueOut": [{"jawOpen": 0.6}],
    **{name: [{"jawOpen": 0.7}] for name in ("tongueUp", "tongueDown", "tongueLeft", "tongueRight", "tongueRoll")},
}
TOUCHING = ("mouth", "jaw", "tongue", "eye", "cheekPuff")  # units that can bring parts into contact
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")  # the units whose lids travel round the eyeball, not straight
OPEN = {"jawOpen": 0.4}  # every other unit of the mouth is looked at alone and with the jaw this far open
GAZE = {"Up": (-0.5, 0, 0), "Down": (0.6, 0, 0)}  # radians of the eye at full eyeLookUp and eyeLookDown
GAZE_SIDE = 0.55  # ... and at full eyeLookIn and eyeLookOut


@dataclass
class Pushes:
    """Rows of the linear system: how a displacement of the cage moves what touches, and by how much it should."""

    vertex_count: int
    rows: list[sp.csr_matrix] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)

    def add(self, reach: Reach, points: np.ndarray | None, give: bool, facing: np.ndarray | None = None) -> None:
        """The surface of `reach` gives way (`give`), or the points (vertex ids) do, or both.

        With `facing` [N,3], unit normals at the points, only those count that face the surface: two sides in contact.
        """
        meet = (reach.depth > 0) & (reach.depth < DEEPEST)
        if facing is not None:
            meet &= (reach.normal * facing).sum(1) < OPPOSED
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
    """The vertices of a lip away from the corners, where folds of one and the same skin lie on each other."""
    return ids[abs(v[ids, 0]) < LIP_MIDDLE * abs(v[ids, 0]).max()]


class Parting:
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
        stay = np.full(self.n_soft, STAY)
        stay[np.unique(soft.quads[np.isin(soft.islands, ("skin", "chest"))])] = SKIN_STAYS
        ties = self._ties(soft)
        self.regular = (SMOOTH * laplacian.T @ laplacian + sp.diags(stay) + ties.T @ ties).tocsc()

    def _ties(self, soft: SoftMesh) -> sp.csr_matrix:
        """Rows that pull the cavity's vertices and the skin before them together."""
        mean = self.model.mean[: self.n_soft].double().numpy()
        skin, cavity = (np.unique(soft.quads[soft.islands == name]) for name in ("skin", "mouth_cavity"))
        cavity = np.setdiff1d(cavity, skin)
        distance, nearest = KDTree(mean[skin]).query(mean[cavity])
        weight = np.sqrt(TIED) * np.exp(-0.5 * (distance / TIED_REACH) ** 2)
        n = np.arange(len(cavity))
        shape = (len(cavity), self.n_soft)
        return sp.csr_matrix((weight, (n, cavity)), shape=shape) - sp.csr_matrix(
            (weight, (n, skin[nearest])), shape=shape
        )

    def posed(self, units: dict[str, float], gaze: dict[str, tuple[float, ...]]) -> np.ndarray:
        """Fine vertices [V,3]."""
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
        """All that reaches where it should not; `lips`: including one lip into the other."""
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

    def part(self, poses: list[tuple[dict, dict]], change, lips: bool = False) -> float:
        """Move the cage, through `change(displacement [n_soft,3])`, until nothing reaches anywhere in the poses.

        Returns how far the cage moved at most (metres).
        """
        total = np.zeros((self.n_soft, 3))
        for _ in range(ROUNDS):
            found = [self.pushes(self.posed(*pose), lips) for pose in poses]
            rows = [row for pushes in found for row in pushes.rows]
            if not rows:
                break
            a = sp.vstack(rows).tocsr() @ self.fine
            b = np.concatenate([target for pushes in found for target in pushes.targets])
            # Accumulated, so that what was moved before is held back as well.
            system = (a.T @ a + self.regular).tocsc()
            step = splu(system).solve(a.T @ b - self.regular @ total)
            length = np.linalg.norm(step, axis=1, keepdims=True)
            step *= np.minimum(1, LONGEST_STEP / length.clip(1e-9)) * (length > SHORTEST_STEP)
            total += step
            change(step)
        return float(np.linalg.norm(total, axis=1).max())


def _poses(name: str) -> list[tuple[dict[str, float], dict[str, tuple[float, ...]]]]:
    """Where one unit at full strength is looked at: (units, joint rotations)."""
    full = {name: 1.0}
    if name.startswith("eyeLook"):
        side, way = ("left_eye", name[7:-4]) if name.endswith("Left") else ("right_eye", name[7:-5])
        sign = 1 if (way == "Out") == (side == "left_eye") else -1  # a positive turn about y looks to the left
        return [(full, {}), (full, {side: GAZE.get(way, (0, sign * GAZE_SIDE, 0))})]
    if name in COMPANY:
        return [(full | more, {}) for more in COMPANY[name]]
    if name.startswith("mouth"):
        return [(full, {}), (full | OPEN, {})]
    return [(full, {})]


def part_parts(arrays: dict[str, np.ndarray], soft: SoftMesh) -> dict[str, np.ndarray]:
    """The head's arrays with mean, expression basis and combinations corrected."""
    parting = Parting(arrays, soft)
    mean, basis = arrays["mean"].copy(), arrays["expression_basis"].copy()
    n = parting.n_soft

    def move_mean(step: np.ndarray) -> None:
        mean[:n] += step
        parting.model.mean[:n] = torch.from_numpy(mean[:n]).float()

    moved = {"mean": parting.part([({}, {})], move_mean, lips=True)}
    # Opening first: other units are looked at in its company.
    for name in sorted(parting.names, key=lambda n: n != "jawOpen"):
        unit = parting.names.index(name)

        def move_unit(step: np.ndarray, unit: int = unit) -> None:
            basis[unit, :n] += step
            parting.model.expression_basis[unit, :n] = torch.from_numpy(basis[unit, :n]).float()

        if name.startswith(TOUCHING):
            moved[name] = parting.part(_poses(name), move_unit)
    # Half-way of a blink the straight path cuts the eyeball: 4 w (1 - w) times a bulge, as unit and as combination.
    bulges = arrays["combination_basis"].copy()
    for row, name in enumerate(BLINKS):
        unit = parting.names.index(name)

        def bulge(step: np.ndarray, row: int = row, unit: int = unit) -> None:
            bulges[row, :n] -= 4 * step
            parting.model.combination_basis[row, :n] = torch.from_numpy(bulges[row, :n]).float()
            basis[unit, :n] += 4 * step
            parting.model.expression_basis[unit, :n] = torch.from_numpy(basis[unit, :n]).float()

        moved[f"half {name}"] = parting.part([({name: 0.5}, {}), ({name: 0.7}, {})], bulge)
    print("parted by (mm):", ", ".join(f"{k} {1e3 * v:.1f}" for k, v in moved.items() if v > 5e-4))
    return arrays | {"mean": mean, "expression_basis": basis, "combination_basis": bulges}
