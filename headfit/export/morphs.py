"""Morph targets of a moving surface: the units of its head, and as few more shapes as explain the rest of its motion.

All weights are from 0 to 1: Blender (up to 5.0) cuts others when it plays them, whatever the file says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Greatest distance (metres) of a vertex from where it should be that the shapes may leave.
TOLERANCE = 5e-6
#: Vertices that are compared at a time.
BLOCK = 4096


@dataclass(frozen=True)
class Morphs:
    """x_frame = base + sum_k weights[frame,k] targets[k].

    base `[V,3]` and targets `[K,V,3]` in metres, float32; weights `[F,K]`; names `[K]`.
    """

    base: np.ndarray
    names: list[str]
    targets: np.ndarray
    weights: np.ndarray


def find_morphs(
    positions: np.ndarray, base: np.ndarray, names: list[str], units: np.ndarray, weights: np.ndarray
) -> Morphs:
    """The morph targets that give the positions of every frame to `TOLERANCE`.

    The units come first, with their weights from 0 to 1. What they leave over F frames are at most F shapes; their
    principal components, named residual000 and so on, are fewer where the frames resemble each other. They are measured
    from the target `residual`, which has the weight 1 in every frame.

    Args:
        positions: `[F,V,3]` float32, metres; used up.
        base: `[V,3]` the shape at rest.
        names: `[U]` of units.
        units: `[U,V,3]` displacements at full activation.
        weights: `[F,U]` of the units.
    """
    count, weights = len(positions), weights.clip(0, 1)
    rest = positions.reshape(count, -1)
    flat = units.astype(np.float32).reshape(len(units), base.size)
    rest -= base.astype(np.float32).ravel() + weights.astype(np.float32) @ flat
    values, vectors = np.linalg.eigh((rest @ rest.T).astype(np.float64))
    vectors = vectors[:, np.argsort(-values)].astype(np.float32)
    few, enough = -1, count  # bisection: the error of `few` is too large, that of `enough` is not
    while enough - few > 1:
        middle = (few + enough) // 2
        if _largest_error(rest, vectors[:, :middle]) <= TOLERANCE:
            enough = middle
        else:
            few = middle
    shapes, amounts = vectors[:, :enough].T @ rest, vectors[:, :enough]
    if enough:
        lowest, span = amounts.min(axis=0), np.ptp(amounts, axis=0)
        amounts = np.column_stack([np.ones(count), (amounts - lowest) / np.where(span > 0, span, 1)])
        shapes = np.concatenate([(lowest @ shapes)[None], shapes * span[:, None]])
        names = [*names, "residual", *(f"residual{index:03d}" for index in range(enough))]
    return Morphs(
        base=base.astype(np.float32),
        names=names,
        targets=np.concatenate([flat, shapes]).reshape(-1, *base.shape),
        weights=np.concatenate([weights, amounts], axis=1),
    )


def _largest_error(rest: np.ndarray, vectors: np.ndarray) -> float:
    """The longest vertex displacement that is left of `rest [F,3V]` outside the span of orthonormal `vectors [F,K]`."""
    worst = 0.0
    for start in range(0, rest.shape[1], 3 * BLOCK):
        block = rest[:, start : start + 3 * BLOCK]
        left = block - vectors @ (vectors.T @ block)
        worst = max(worst, float(np.linalg.norm(left.reshape(len(left), -1, 3), axis=2).max()))
    return worst
