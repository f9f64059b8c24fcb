"""Similarity transforms between two sets of corresponding points."""

from __future__ import annotations

import numpy as np

from headfit.types import Float

#: Distance (metres) at which the Cauchy weight of a point is one half.
CAUCHY_SCALE = 0.006


def similarity(source: Float, target: Float, weight: Float, scale: float | None = None) -> tuple[float, Float, Float]:
    """The weighted least-squares similarity transform from `source` to `target` (Umeyama 1991).

    Args:
        source: `[N,3]`.
        target: `[N,3]`.
        weight: `[N]`.
        scale: keep this scale instead of estimating it.

    Returns:
        Scale s, rotation R `[3,3]` and translation t `[3]`: target = s R source + t.
    """
    w = weight / weight.sum()
    a, b = w @ source, w @ target
    x, y = source - a, target - b
    u, d, vt = np.linalg.svd((y * w[:, None]).T @ x)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    if scale is None:
        scale = float((d * sign).sum() / (w @ (x**2).sum(1)))
    return scale, rotation, b - scale * rotation @ a


def robust_similarity(
    source: Float, target: Float, weight: Float, scale: float | None = None
) -> tuple[float, Float, Float]:
    """`similarity`, robust against outliers by Cauchy weights (iteratively reweighted, `CAUCHY_SCALE`); points in
    metres."""
    w = weight
    for _ in range(10):
        s, rotation, t = similarity(source, target, w, scale)
        distance = np.linalg.norm(s * source @ rotation.T + t - target, axis=1)
        w = weight / (1 + (distance / CAUCHY_SCALE) ** 2)
    return s, rotation, t
