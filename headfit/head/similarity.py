"""The similarity transform between two sets of corresponding points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Distance (metres) at which a point counts half in the robust alignment.
POINT_SCALE = 0.006


def similarity(source: Float, target: Float, weight: Float, scale: float | None = None) -> tuple[float, Float, Float]:
    """Scale s, rotation R `[3,3]` and translation t that best take `source [N,3]` to `target [N,3]` (Umeyama 1991).

    A given `scale` is kept.
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
    """`similarity` with points that lie off counting less (Cauchy weights, `POINT_SCALE`)."""
    w = weight
    for _ in range(10):
        s, rotation, t = similarity(source, target, w, scale)
        distance = np.linalg.norm(s * source @ rotation.T + t - target, axis=1)
        w = weight / (1 + (distance / POINT_SCALE) ** 2)
    return s, rotation, t
