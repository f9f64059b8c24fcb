"""Registration by free offsets of the cage that resist bending, for what the parameters cannot explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from torch import Tensor

from headfit.fitting.smooth_offsets import cage_laplacian
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
from headfit.modelling.registration.placed_head import TRANSLATION_UNIT, Registration
from headfit.types import Bool, Float

#: Cost of a squared metre of the cage's Laplacian, in squared metres per point: in the first and the last round.
BENDING = (3.0, 3e-3)
ROUNDS = 8


def fit_offsets(
    registration: Registration,
    targets: Sequence[Target],
    rounds: int = ROUNDS,
    bending: tuple[float, float] = BENDING,
    report: Callable[[str], None] | None = None,
) -> Registration:
    """The registration with free offsets of the cage moved onto the targets, one field for all; rigid parts stay.

    Args:
        registration: where to start.
        targets: one per frame of the registration.
        rounds: matching rounds.
        bending: stiffness in the first and the last round.
        report: called with a line of text after every round.
    """
    current = registration
    head = current.head
    ours = Surface.of(*labelled_faces(head))
    theirs = [Surface.of(target.faces, target.labels) for target in targets]
    laplacian = cage_laplacian(head.cage_faces.long().numpy(), head.cage_count)
    stiff = sp.diags(head.cage_stiffness.double().numpy() / head.cage_count)
    bend = (laplacian.T @ stiff @ laplacian).tocsr()
    rigid = head.cage_rigid_part.numpy() >= 0
    to_fine = _csr(head.subdivision)
    for number in range(rounds):
        at = number / max(1, rounds - 1)
        max_distance, cauchy_scale, stiffness = (between(ends, at) for ends in (MAX_DISTANCE, CAUCHY_SCALE, bending))
        rows, goals, residual = [], [], 0.0
        for frame, target in enumerate(targets):
            base = current.vertices(frame)
            matches = match(base, ours, target, theirs[frame], max_distance, cauchy_scale, None)
            matrix, goal, error = _offset_rows(matches, base, _motion(current, frame, base), to_fine)
            rows.append(matrix)
            goals.append(goal)
            residual += error / len(targets)
        step = _solve_offsets(
            sp.vstack(rows).tocsr(), np.concatenate(goals), len(targets) * stiffness * bend, current.offsets, ~rigid
        )
        current = replace(current, offsets=current.offsets + torch.from_numpy(step).to(current.offsets))
        if report:
            report(f"offsets {number + 1}: {1e3 * residual:.3f} mm")
    return current


def _csr(matrix: Tensor) -> sp.csr_matrix:
    parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
    return sp.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(matrix.shape)).astype(np.float64)


def _motion(registration: Registration, frame: int, base: Float) -> Float:
    """Motion `[3,V,3]` of the fine vertices per metre of offset along x, y and z: the rotation by skinning and pose."""
    moves = []
    for axis in range(3):
        offsets = registration.offsets.clone()
        offsets[:, axis] += TRANSLATION_UNIT
        moves.append((replace(registration, offsets=offsets).vertices(frame) - base) / TRANSLATION_UNIT)
    return np.stack(moves)


def _offset_rows(
    matches: Matches, base: Float, motion: Float, to_fine: sp.csr_matrix
) -> tuple[sp.csr_matrix, Float, float]:
    """The linear system of the matches' point-to-plane distances.

    Returns:
        Weighted rows `[K,3Vc]` (columns: all x, all y, all z), weighted residuals `[K]`, and the mean distance
        (metres).
    """
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


def _solve_offsets(rows: sp.csr_matrix, goal: Float, bend: sp.csr_matrix, offsets: Tensor, free: Bool) -> Float:
    """Change of the offsets `[Vc,3]`, by conjugate gradients preconditioned with the same system without the coupling
    between x, y and z."""
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
