"""Laying a head model over foreign meshes: the same head in one or several frames.

Gauss-Newton on distances to the plane (Chen & Medioni 1992) between points of either surface and the nearest of the
other, with Cauchy weights; first by the model's parameters, then by free offsets of the cage that resist bending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from headfit.errors import HeadfitError
from headfit.evaluate.surface import SurfaceDistance
from headfit.fitting.offsets import cage_laplacian
from headfit.head import HeadModel
from headfit.head.similarity import robust_similarity

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Text = NDArray[np.str_]

#: Labels that are one continuous surface; all others are compared with their own kind only.
SKIN = ("skin", "hair", "lips", "upper_lip", "lower_lip", "brows", "ears", "nose", "neck")
#: The jaw line (landmarks 0-16) is no point of the surface: its place depends on the view.
FIRST_LANDMARK = 17
#: Matches farther apart than this (metres) in the first round and at last, or with normals less alike, do not count.
REACH, ALIKE = (0.015, 0.004), 0.5
#: Distance (metres) at which a match counts half, in the first round and at last.
DOUBT = (0.004, 0.0007)
#: What the distance along the surface counts, relative to that across it: keeps points from sliding about.
SLIDE = 0.02
#: Squared metres of every point that one landmark's squared metre is worth, in the first round and at last.
LANDMARK = (0.05, 1e-4)
#: Squared metres of every point that one squared unit of a parameter costs.
PRIOR = {"identity": 1e-9, "expression": 3e-8, "joints": 3e-6, "placement": 1e-7, "scale": 0.0, "pose": 0.0}
#: Steps of the finite differences, in each group's own unit.
STEP = {"identity": 0.5, "expression": 0.2, "joints": 0.01, "placement": 0.01, "scale": 0.01, "pose": 0.01}
#: One unit of a translation among joints, placement and pose is this many metres.
LENGTH = 0.05
BATCH = 16  # heads at a time in differences
SHARED = ("scale", "identity", "placement")
ROUNDS = 16
#: Points of each target that are compared in a round, on parameters.
POINTS = 3000
#: Resistance to bending, squared metres of every point per squared metre of Laplacian, in the first round and at last.
BENDING = (3.0, 3e-3)
OFFSET_ROUNDS = 8


@dataclass(frozen=True)
class Target:
    """A mesh to register to: vertices `[N,3]` (metres, any frame), faces `[M,3]`, landmarks `[68]` vertex numbers in
    iBUG order, labels `[M]`: native label names, "" for faces that are not compared."""

    vertices: Float
    faces: Int
    labels: Text
    landmarks: Int


@dataclass(frozen=True)
class Registration:
    """Parameters of a head over `F` targets, see HeadModel.forward; v = exp(scale) R(pose[:3]) v_head + pose[3:], where
    `pose [F,6]` is an axis-angle and metres."""

    head: HeadModel
    scale: float
    identity: Tensor
    placement: Tensor
    pose: Tensor
    expression: Tensor
    joints: Tensor
    offsets: Tensor

    def vertices(self, frame: int) -> Float:
        """The fine vertices `[V,3]` over target `frame`."""
        v_head = self._heads(frame, {}, 1)[0].double().numpy()
        return v_head @ self._linear(frame).T + self.pose[frame, 3:].numpy()

    def nudged(self, name: str, frame: int, size: int) -> NDArray[np.float32]:
        """How the vertices move `[size,V,3]` per unit of each entry of a group of the head's arguments: differences."""
        step = torch.diag(torch.from_numpy(STEP[name] * _units(name, size))).float()
        old = getattr(self, name) if name in SHARED else getattr(self, name)[frame]
        new = old + step.view(size, *old.shape)
        if name == "placement":  # one for all heads of a batch
            heads = torch.cat([self._heads(frame, {name: row}, 1) for row in new])
        else:
            heads = torch.cat([self._heads(frame, {name: rows}, len(rows)) for rows in new.split(BATCH)])
        move = (heads - self._heads(frame, {}, 1)) / STEP[name]
        return (move @ torch.from_numpy(self._linear(frame).T).float()).numpy()

    def _linear(self, frame: int) -> Float:
        return np.exp(self.scale) * Rotation.from_rotvec(self.pose[frame, :3].numpy()).as_matrix()

    def _heads(self, frame: int, other: dict[str, Tensor], count: int) -> Tensor:
        """Heads `[count,V,3]` of a frame in the head frame, some arguments given otherwise."""
        arguments = {
            "identity": self.identity,
            "expression": self.expression[frame].expand(count, -1),
            "joints": self.joints[frame].expand(count, -1, -1),
            "offsets": self.offsets,
            "placement": self.placement,
        }
        with torch.no_grad():
            return self.head(**(arguments | other))


def start(head: HeadModel, targets: Sequence[Target]) -> Registration:
    """The mean head, placed by the landmarks (all but the jaw line). Raises HeadfitError for a head without any."""
    if not head.has_landmarks:
        raise HeadfitError("a head without landmarks cannot be registered: nothing tells where to begin")
    empty = Registration(
        head=head,
        scale=0.0,
        identity=torch.zeros(len(head.identity_basis)),
        placement=torch.zeros(len(head.rigid_part_names), 9),
        pose=torch.zeros(len(targets), 6, dtype=torch.float64),
        expression=torch.zeros(len(targets), len(head.expression_names)),
        joints=torch.zeros(len(targets), len(head.joint_names), 6),
        offsets=torch.zeros(head.cage_count, 3),
    )
    ours = _landmarks(head, empty.vertices(0))[FIRST_LANDMARK:]
    scale, pose = None, empty.pose.clone()
    for frame, target in enumerate(targets):
        theirs = target.vertices[target.landmarks[FIRST_LANDMARK:]]
        scale, turn, shift = robust_similarity(ours, theirs, np.ones(len(ours)), scale)
        pose[frame] = torch.from_numpy(np.r_[Rotation.from_matrix(turn).as_rotvec(), shift])
    return replace(empty, scale=float(np.log(scale or 1.0)), pose=pose)


def _landmarks(head: HeadModel, vertices: Float) -> Float:
    corners = vertices[head.faces.long().numpy()[head.landmark_faces.numpy()]]
    return np.einsum("lc,lcd->ld", head.landmark_bary.double().numpy(), corners)


# ---- what is compared -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Surface:
    """A mesh cut by kind: faces of each kind, and where vertices of each may be compared."""

    faces: dict[str, Int]

    @classmethod
    def of(cls, faces: Int, labels: Text) -> _Surface:
        kinds = np.where(np.isin(labels, SKIN), "skin", labels)
        return cls({str(kind): faces[kinds == kind] for kind in np.unique(kinds) if kind})


@dataclass(frozen=True)
class _Matches:
    """Points of the model as corners `[K,3]` (fine vertices) and bary `[K,3]`; where they shall go `[K,3]`, the normal
    there `[K,3]`, and how much each counts `[K]`."""

    corners: Int
    bary: Float
    goal: Float
    normal: Float
    weight: Float


def _normals(vertices: Float, faces: Int) -> Float:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normal, faces[:, corner], across)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)


def _on_border(faces: Int, count: int, corners: Int, bary: Float) -> NDArray[np.bool_]:
    """Whether points `[K]` of a mesh lie on an edge that has one face: what is nearest to a border is beyond it."""
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, uses = np.unique(sides, axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[edges[uses == 1]] = True
    absent = bary < 1e-6
    return absent.any(1) & (border[corners] | absent).all(1)


def _match(
    model: Float, ours: _Surface, target: Target, theirs: _Surface, reach: float, doubt: float, points: int | None
) -> _Matches:
    """Pairs of near points of the model `[V,3]` and the target, of one kind, from either side."""
    found: list[tuple[Int, Float, Float, Float, Float]] = []
    for kind in sorted(ours.faces.keys() & theirs.faces.keys()):
        mine, other = ours.faces[kind], theirs.faces[kind]
        my_normals, other_normals = _normals(model, mine), _normals(target.vertices, other)
        from_other, from_mine = _sample(other, points), _sample(mine, points)
        near = SurfaceDistance(model, mine).closest(target.vertices[from_other])
        corners = mine[near.face]
        normal = np.einsum("kc,kcd->kd", near.bary, my_normals[corners])
        open_end = _on_border(mine, len(model), corners, near.bary)
        good = ~open_end & ((normal * other_normals[from_other]).sum(1) > ALIKE)
        found.append(
            (
                corners[good],
                near.bary[good],
                target.vertices[from_other[good]],
                other_normals[from_other[good]],
                near.distance[good],
            )
        )
        near = SurfaceDistance(target.vertices, other).closest(model[from_mine])
        corners = other[near.face]
        normal = np.einsum("kc,kcd->kd", near.bary, other_normals[corners])
        open_end = _on_border(other, len(target.vertices), corners, near.bary)
        good = ~open_end & ((normal * my_normals[from_mine]).sum(1) > ALIKE)
        feet = np.einsum("kc,kcd->kd", near.bary, target.vertices[corners])
        own = np.repeat(from_mine[good][:, None], 3, 1)
        found.append((own, np.tile([1.0, 0.0, 0.0], (len(own), 1)), feet[good], normal[good], near.distance[good]))
    corners, bary, goal, normal, distance = (np.concatenate(rows) for rows in zip(*found, strict=True))
    weight = (distance < reach) / (1 + (distance / doubt) ** 2)
    return _Matches(corners, bary, goal, normal, weight / max(weight.sum(), 1e-9))


def _sample(faces: Int, points: int | None) -> Int:
    vertices = np.unique(faces)
    return vertices if points is None else vertices[:: max(1, len(vertices) // points)]


# ---- by parameters --------------------------------------------------------------------------------------------------


def fit_parameters(
    registration: Registration,
    targets: Sequence[Target],
    free: Sequence[str],
    rounds: int = ROUNDS,
    points: int = POINTS,
    report: Callable[[str], None] | None = None,
) -> Registration:
    """Move the groups `free` (of scale, identity, placement; per frame: pose, expression, joints) onto the targets."""
    current = registration
    ours = _Surface.of(*_faces(current.head))
    theirs = [_Surface.of(target.faces, target.labels) for target in targets]
    for number in range(rounds):
        at = number / max(1, rounds - 1)
        reach, doubt, landmark = (_between(pair, at) for pair in (REACH, DOUBT, LANDMARK))
        layout = _Layout(current, free)
        normal_matrix, right = np.zeros((layout.size, layout.size)), np.zeros(layout.size)
        residual = 0.0
        for frame, target in enumerate(targets):
            base = current.vertices(frame)
            moves = layout.jacobian(current, frame, base)
            matches = _match(base, ours, target, theirs[frame], reach, doubt, points)
            left, goal, error = _rows(matches, base, moves)
            for matrix, vector in (
                (left, goal),
                _landmark_rows(current.head, base, moves, target, landmark),
            ):
                columns = layout.columns(frame)
                normal_matrix[np.ix_(columns, columns)] += matrix.T @ matrix
                right[columns] += matrix.T @ vector
            residual += error / len(targets)
        prior = layout.prior() * len(targets)
        step = np.linalg.solve(normal_matrix + np.diag(prior + 1e-12), right - prior * layout.values(current))
        current = layout.moved(current, step)
        if report:
            report(f"round {number + 1}: {1e3 * residual:.3f} mm")
    return current


def _between(ends: tuple[float, float], at: float) -> float:
    return float(ends[0] ** (1 - at) * ends[1] ** at)


def _faces(head: HeadModel) -> tuple[Int, Text]:
    return head.faces.long().numpy(), np.array(head.label_names)[head.face_labels.numpy()]


def _rows(matches: _Matches, base: Float, moves: NDArray[np.float32]) -> tuple[Float, Float, float]:
    """Weighted rows `[4K,P]` and residuals of moving the matched points, by `moves [P,V,3]`, onto their goals: across
    the surface, and a little in all directions. Then the mean distance across (metres)."""
    here = np.einsum("kc,kcd->kd", matches.bary, base[matches.corners])
    bary = matches.bary.astype(np.float32)
    moved = np.zeros((len(moves), len(bary), 3), np.float32)
    for corner in range(3):
        moved += bary[:, corner, None] * moves[:, matches.corners[:, corner]]
    gap = matches.goal - here
    root = np.sqrt(matches.weight)
    across = np.einsum("pkd,kd->kp", moved, matches.normal * root[:, None])
    along = np.einsum("pkd->kdp", moved) * (SLIDE * root)[:, None, None]
    off = (gap * matches.normal).sum(1)
    rows = np.concatenate([across, along.reshape(-1, len(moves))])
    goal = np.concatenate([off * root, (gap * (SLIDE * root)[:, None]).ravel()])
    return rows, goal, float((matches.weight * np.abs(off)).sum())


def _landmark_rows(head: HeadModel, base: Float, moves: Float, target: Target, worth: float) -> tuple[Float, Float]:
    rows = np.stack([_landmarks(head, move)[FIRST_LANDMARK:].ravel() for move in moves], 1)
    gap = target.vertices[target.landmarks[FIRST_LANDMARK:]] - _landmarks(head, base)[FIRST_LANDMARK:]
    root = np.sqrt(worth / len(gap))
    return rows * root, gap.ravel() * root


class _Layout:
    """Where the free groups stand in one vector of unknowns: shared ones first, then frame by frame."""

    def __init__(self, registration: Registration, free: Sequence[str]) -> None:
        unknown = set(free) - set(PRIOR)
        if unknown:
            raise ValueError(f"no such group: {', '.join(sorted(unknown))}")
        self.shared = [
            (name, self._read(registration, name, 0).size) for name in PRIOR if name in free and name in SHARED
        ]
        self.own = [
            (name, self._read(registration, name, 0).size) for name in PRIOR if name in free and name not in SHARED
        ]
        self.first = sum(size for _, size in self.shared)
        self.each = sum(size for _, size in self.own)
        self.frames = len(registration.pose)
        self.size = self.first + self.each * self.frames

    @staticmethod
    def _read(registration: Registration, name: str, frame: int) -> Float:
        value = getattr(registration, name)
        value = np.array([value]) if name == "scale" else value.double().numpy()
        return (value if name in SHARED else value[frame]).ravel() / _units(
            name, value.size if name in SHARED else value[frame].size
        )

    def columns(self, frame: int) -> Int:
        start = self.first + frame * self.each
        return np.r_[np.arange(self.first), np.arange(start, start + self.each)]

    def values(self, registration: Registration) -> Float:
        shared = [self._read(registration, name, 0) for name, _ in self.shared]
        own = [self._read(registration, name, frame) for frame in range(self.frames) for name, _ in self.own]
        return np.concatenate([np.zeros(0), *shared, *own])

    def prior(self) -> Float:
        shared = [np.full(size, PRIOR[name]) for name, size in self.shared]
        own = [np.full(size, PRIOR[name] / self.frames) for name, size in self.own]
        return np.concatenate([np.zeros(0), *shared, *own * self.frames])

    def moved(self, registration: Registration, step: Float) -> Registration:
        changed: dict[str, Tensor | float] = {}
        at = 0
        for name, size in self.shared:
            part = step[at : at + size] * _units(name, size)
            old = getattr(registration, name)
            changed[name] = (
                old + float(part[0]) if name == "scale" else old + torch.from_numpy(part).view_as(old).to(old)
            )
            at += size
        for name, _ in self.own:
            changed[name] = getattr(registration, name).clone()
        for frame in range(self.frames):
            for name, size in self.own:
                part = torch.from_numpy(step[at : at + size] * _units(name, size))
                row = changed[name][frame]  # type: ignore[index]
                changed[name][frame] = _turned(row, part) if name == "pose" else row + part.view_as(row).to(row)  # type: ignore[index]
                at += size
        if "expression" in changed:
            low = registration.head.expression_lowest
            changed["expression"] = changed["expression"].maximum(low).clamp(max=1.0)  # type: ignore[union-attr]
        return replace(registration, **changed)  # type: ignore[arg-type]

    def jacobian(self, registration: Registration, frame: int, base: Float) -> NDArray[np.float32]:
        """How the fine vertices of a frame move `[P,V,3]` per unit of its columns."""
        arm = base - registration.pose[frame, 3:].numpy()
        moves: dict[str, Float | NDArray[np.float32]] = {"scale": arm[None]}
        axes = np.eye(3)
        moves["pose"] = np.concatenate(
            [np.cross(axes[:, None], arm), np.broadcast_to(LENGTH * axes[:, None], (3, *arm.shape))]
        )
        for name, size in [*self.shared, *self.own]:
            if name not in moves:
                moves[name] = registration.nudged(name, frame, size)
        return np.concatenate([moves[name] for name, _ in [*self.shared, *self.own]]).astype(np.float32)


def _units(name: str, size: int) -> Float:
    """What one unit of each entry of a group stands for: translations count in `LENGTH`."""
    t = LENGTH
    row = {"joints": [1, 1, 1, t, t, t], "placement": [t, t, t, 1, 1, 1, 1, 1, 1], "pose": [1, 1, 1, t, t, t]}.get(name)
    return np.ones(size) if row is None else np.tile(np.array(row, float), size // len(row))


def _turned(pose: Tensor, step: Tensor) -> Tensor:
    """A pose turned further by the rotation vector step[:3], and shifted."""
    turn = Rotation.from_rotvec(step[:3].numpy()) * Rotation.from_rotvec(pose[:3].numpy())
    return torch.cat([torch.from_numpy(turn.as_rotvec()), pose[3:] + step[3:]])


# ---- by free offsets ------------------------------------------------------------------------------------------------


def fit_offsets(
    registration: Registration,
    targets: Sequence[Target],
    rounds: int = OFFSET_ROUNDS,
    bending: tuple[float, float] = BENDING,
    report: Callable[[str], None] | None = None,
) -> Registration:
    """Bend the cage onto the targets, by one field of offsets for all of them; rigid parts stay."""
    current = registration
    head = current.head
    ours = _Surface.of(*_faces(head))
    theirs = [_Surface.of(target.faces, target.labels) for target in targets]
    laplacian = cage_laplacian(head.cage_faces.long().numpy(), head.cage_count)
    stiff = sp.diags(head.cage_stiffness.double().numpy() / head.cage_count)
    bend = (laplacian.T @ stiff @ laplacian).tocsr()
    rigid = head.cage_rigid_part.numpy() >= 0
    to_fine = _csr(head.subdivision)
    for number in range(rounds):
        at = number / max(1, rounds - 1)
        reach, doubt, resistance = _between(REACH, at), _between(DOUBT, at), _between(bending, at)
        rows, goals, residual = [], [], 0.0
        for frame, target in enumerate(targets):
            base = current.vertices(frame)
            matches = _match(base, ours, target, theirs[frame], reach, doubt, None)
            matrix, goal, error = _offset_rows(matches, base, _motion(current, frame, base), to_fine)
            rows.append(matrix)
            goals.append(goal)
            residual += error / len(targets)
        step = _solve_offsets(
            sp.vstack(rows).tocsr(), np.concatenate(goals), len(targets) * resistance * bend, current.offsets, ~rigid
        )
        current = replace(current, offsets=current.offsets + torch.from_numpy(step).to(current.offsets))
        if report:
            report(f"offsets {number + 1}: {1e3 * residual:.3f} mm")
    return current


def _csr(matrix: Tensor) -> sp.csr_matrix:
    parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
    return sp.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(matrix.shape)).astype(np.float64)


def _motion(registration: Registration, frame: int, base: Float) -> Float:
    """`[3,V,3]`: where the fine vertices go when all offsets grow along x, y, z: their turn by skinning and pose."""
    moves = []
    for axis in range(3):
        offsets = registration.offsets.clone()
        offsets[:, axis] += LENGTH
        moves.append((replace(registration, offsets=offsets).vertices(frame) - base) / LENGTH)
    return np.stack(moves)


def _offset_rows(
    matches: _Matches, base: Float, motion: Float, to_fine: sp.csr_matrix
) -> tuple[sp.csr_matrix, Float, float]:
    """Weighted rows `[K,3 Vc]` (all x, all y, all z) and residuals of moving matched points across the surface."""
    count = len(matches.corners)
    used = matches.weight > 0
    here = np.einsum("kc,kcd->kd", matches.bary, base[matches.corners])
    off = ((matches.goal - here) * matches.normal).sum(1)
    root = np.sqrt(matches.weight)
    blocks = []
    for axis in range(3):
        share = matches.bary * np.einsum("kcd,kd->kc", motion[axis][matches.corners], matches.normal) * root[:, None]
        points = sp.csr_matrix(
            (share.ravel(), (np.repeat(np.arange(count), 3), matches.corners.ravel())), shape=(count, len(base))
        )
        blocks.append(points[used] @ to_fine)
    return sp.hstack(blocks).tocsr(), (off * root)[used], float((matches.weight * np.abs(off)).sum())


def _solve_offsets(rows: sp.csr_matrix, goal: Float, bend: sp.csr_matrix, offsets: Tensor, free: Any) -> Float:
    """Change of the offsets `[Vc,3]`: conjugate gradients, preconditioned by the same system without its coupling of
    x, y and z."""
    old = offsets.double().numpy()
    keep = sp.diags(free.astype(float))
    fixed = sp.diags((~free).astype(float))
    stiff = (keep @ bend @ keep).tocsr()
    rows = rows @ sp.block_diag([keep] * 3)
    ridge = 1e-9
    system = (rows.T @ rows + sp.block_diag([stiff + fixed + ridge * sp.identity(len(old))] * 3)).tocsr()
    right = rows.T @ goal - np.concatenate([stiff @ column for column in old.T])
    pull = np.asarray(rows.multiply(rows).sum(0)).reshape(3, -1).mean(0)
    factor = spl.splu(
        (stiff + fixed + sp.diags(pull + ridge)).tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
    )
    precondition = spl.LinearOperator(system.shape, matvec=lambda x: factor.solve(x.reshape(3, -1).T).T.ravel())
    solved, _ = spl.cg(system, right, rtol=1e-4, maxiter=200, M=precondition)
    return solved.reshape(3, -1).T
