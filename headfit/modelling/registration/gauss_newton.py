"""Registration by the parameters of a head model: Gauss-Newton on point-to-plane distances (Chen & Medioni 1992) with
Cauchy weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from headfit.head import HeadModel
from headfit.modelling.registration.matching import (
    CAUCHY_SCALE,
    MAX_DISTANCE,
    Matches,
    Surface,
    Target,
    between,
    labelled_faces,
    match,
)
from headfit.modelling.registration.placed_head import (
    FIRST_LANDMARK,
    SHARED,
    TRANSLATION_UNIT,
    Registration,
    landmarks,
    units_of,
)
from headfit.types import Float, Int

#: Weight of the distance along the surface relative to that across it: limits tangential drift.
TANGENTIAL_WEIGHT = 0.02
#: Weight of the mean squared distance of the landmarks relative to that of all points, in the first and the last round.
LANDMARK_WEIGHT = (0.05, 1e-4)
#: Cost of one squared unit of a parameter, in squared metres per point.
PRIOR = {"scale": 0.0, "identity": 1e-9, "placement": 1e-7, "pose": 0.0, "expression": 3e-8, "joints": 3e-6}
ROUNDS = 16
#: Approximate number of vertices of either surface that are matched in a round.
POINTS = 8000


def fit_parameters(
    registration: Registration,
    targets: Sequence[Target],
    free: Sequence[str],
    rounds: int = ROUNDS,
    points: int = POINTS,
    report: Callable[[str], None] | None = None,
) -> Registration:
    """The registration with some groups of its parameters moved onto the targets.

    Args:
        registration: where to start.
        targets: one per frame of the registration.
        free: groups to move: scale, identity, placement; per frame pose, expression, joints.
        rounds: Gauss-Newton steps.
        points: approximate number of vertices to match on each side.
        report: called with a line of text after every round.

    Raises:
        ValueError: there is no such group.
    """
    current = registration
    ours = Surface.of(*labelled_faces(current.head))
    theirs = [Surface.of(target.faces, target.labels) for target in targets]
    for number in range(rounds):
        at = number / max(1, rounds - 1)
        max_distance, cauchy_scale, landmark_weight = (
            between(ends, at) for ends in (MAX_DISTANCE, CAUCHY_SCALE, LANDMARK_WEIGHT)
        )
        layout = _Layout(current, free)
        normal_matrix, right = np.zeros((layout.size, layout.size)), np.zeros(layout.size)
        residual = 0.0
        for frame, target in enumerate(targets):
            base = current.vertices(frame)
            moves = layout.jacobian(current, frame, base)
            matches = match(base, ours, target, theirs[frame], max_distance, cauchy_scale, points)
            left, goal, error = _rows(matches, base, moves)
            for matrix, vector in ((left, goal), _landmark_rows(current.head, base, moves, target, landmark_weight)):
                columns = layout.columns(frame)
                normal_matrix[np.ix_(columns, columns)] += matrix.T @ matrix
                right[columns] += matrix.T @ vector
            residual += error / len(targets)
        prior = layout.prior() * len(targets)
        step = np.asarray(
            np.linalg.solve(normal_matrix + np.diag(prior + 1e-12), right - prior * layout.values(current)),
            dtype=np.float64,
        )
        current = layout.moved(current, step)
        if report:
            report(f"round {number + 1}: {1e3 * residual:.3f} mm")
    return current


def _rows(matches: Matches, base: Float, moves: NDArray[np.float32]) -> tuple[Float, Float, float]:
    """The linear system of the matches: point-to-plane distances, and with a small weight point-to-point distances.

    Args:
        matches: K matches.
        base: fine vertices `[V,3]`.
        moves: displacements `[P,V,3]` of the fine vertices per unknown.

    Returns:
        Weighted rows `[4K,P]`, weighted residuals `[4K]`, and the mean point-to-plane distance (metres).
    """
    here = np.einsum("kc,kcd->kd", matches.bary, base[matches.corners])
    bary = matches.bary.astype(np.float32)
    moved = np.zeros((len(moves), len(bary), 3), np.float32)
    for corner in range(3):
        moved += bary[:, corner, None] * moves[:, matches.corners[:, corner]]
    gap = matches.goal - here
    root = np.sqrt(matches.weight)
    across = np.einsum("pkd,kd->kp", moved, matches.normal * root[:, None])
    along = np.einsum("pkd->kdp", moved) * (TANGENTIAL_WEIGHT * root)[:, None, None]
    off = (gap * matches.normal).sum(1)
    rows = np.concatenate([across, along.reshape(-1, len(moves))])
    goal = np.concatenate([off * root, (gap * (TANGENTIAL_WEIGHT * root)[:, None]).ravel()])
    return rows, goal, float((matches.weight * np.abs(off)).sum())


def _landmark_rows(
    head: HeadModel, base: Float, moves: NDArray[np.float32], target: Target, weight: float
) -> tuple[Float, Float]:
    rows = np.stack([landmarks(head, move)[FIRST_LANDMARK:].ravel() for move in moves], 1)
    gap = target.vertices[target.landmarks[FIRST_LANDMARK:]] - landmarks(head, base)[FIRST_LANDMARK:]
    root = np.sqrt(weight / len(gap))
    return rows * root, gap.ravel() * root


class _Layout:
    """The layout of the free groups in one vector of P unknowns: shared groups first, then frame by frame."""

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
        """A group's values in its own units, flat."""
        value = getattr(registration, name)
        value = np.array([value]) if name == "scale" else value.double().numpy()
        return (value if name in SHARED else value[frame]).ravel() / units_of(
            name, value.size if name in SHARED else value[frame].size
        )

    def columns(self, frame: int) -> Int:
        """Indices of the unknowns that move a frame."""
        start = self.first + frame * self.each
        return np.r_[np.arange(self.first), np.arange(start, start + self.each)]

    def values(self, registration: Registration) -> Float:
        """The unknowns `[P]` of a registration."""
        shared = [self._read(registration, name, 0) for name, _ in self.shared]
        own = [self._read(registration, name, frame) for frame in range(self.frames) for name, _ in self.own]
        return np.concatenate([np.zeros(0), *shared, *own])

    def prior(self) -> Float:
        """Cost `[P]` of each squared unknown, per frame."""
        shared = [np.full(size, PRIOR[name]) for name, size in self.shared]
        own = [np.full(size, PRIOR[name] / self.frames) for name, size in self.own]
        return np.concatenate([np.zeros(0), *shared, *own * self.frames])

    def moved(self, registration: Registration, step: Float) -> Registration:
        """The registration after a step `[P]`; expression weights are clamped to their range."""
        changed: dict[str, Any] = {}
        parts = iter(np.split(step, np.cumsum([size for _, size in [*self.shared, *self.own * self.frames]])[:-1]))
        for name, size in self.shared:
            part, old = next(parts) * units_of(name, size), getattr(registration, name)
            changed[name] = (
                old + float(part[0]) if name == "scale" else old + torch.from_numpy(part).view_as(old).to(old)
            )
        for name, _ in self.own:
            changed[name] = getattr(registration, name).clone()
        for frame in range(self.frames):
            for name, size in self.own:
                move, row = torch.from_numpy(next(parts) * units_of(name, size)), changed[name][frame]
                changed[name][frame] = _turned(row, move) if name == "pose" else row + move.view_as(row).to(row)
        if "expression" in changed:
            changed["expression"] = changed["expression"].maximum(registration.head.expression_lowest).clamp(max=1.0)
        return replace(registration, **changed)

    def jacobian(self, registration: Registration, frame: int, base: Float) -> NDArray[np.float32]:
        """Displacements `[P,V,3]` of the fine vertices of a frame per unit of its unknowns."""
        arm = base - registration.pose[frame, 3:].numpy()
        moves: dict[str, Float | NDArray[np.float32]] = {"scale": arm[None]}
        axes = np.eye(3)
        moves["pose"] = np.concatenate(
            [np.cross(axes[:, None], arm), np.broadcast_to(TRANSLATION_UNIT * axes[:, None], (3, *arm.shape))]
        )
        for name, size in [*self.shared, *self.own]:
            if name not in moves:
                moves[name] = registration.nudged(name, frame, size)
        return np.concatenate([moves[name] for name, _ in [*self.shared, *self.own]]).astype(np.float32)


def _turned(pose: Tensor, step: Tensor) -> Tensor:
    """A pose `[6]` rotated further by the rotation vector `step[:3]` and shifted by `step[3:]`."""
    turn = Rotation.from_rotvec(step[:3].numpy()) * Rotation.from_rotvec(pose[:3].numpy())
    return torch.cat([torch.from_numpy(turn.as_rotvec()), pose[3:] + step[3:]])
