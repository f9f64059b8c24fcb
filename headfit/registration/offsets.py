"""Free offsets of the cage that resist bending: the last tenth of a millimetre."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from numpy.typing import NDArray
from torch import Tensor

from headfit.fitting.smooth_offsets import cage_laplacian
from headfit.registration.matching import DOUBT, REACH, Float, Matches, Surface, Target, between, labelled_faces, match
from headfit.registration.state import LENGTH, Registration

#: Resistance to bending, squared metres of every point per squared metre of Laplacian, in the first round and at last.
BENDING = (3.0, 3e-3)
ROUNDS = 8


def fit_offsets(
    registration: Registration,
    targets: Sequence[Target],
    rounds: int = ROUNDS,
    bending: tuple[float, float] = BENDING,
    report: Callable[[str], None] | None = None,
) -> Registration:
    """Bend the cage onto the targets, by one field of offsets for all of them; rigid parts stay."""
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
        reach, doubt, resistance = between(REACH, at), between(DOUBT, at), between(bending, at)
        rows, goals, residual = [], [], 0.0
        for frame, target in enumerate(targets):
            base = current.vertices(frame)
            matches = match(base, ours, target, theirs[frame], reach, doubt, None)
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
    matches: Matches, base: Float, motion: Float, to_fine: sp.csr_matrix
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


def _solve_offsets(
    rows: sp.csr_matrix, goal: Float, bend: sp.csr_matrix, offsets: Tensor, free: NDArray[np.bool_]
) -> Float:
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
