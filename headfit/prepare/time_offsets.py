"""Time offsets between cameras, from the motion of landmarks."""

from __future__ import annotations

import numpy as np

from headfit.types import Float

#: Largest offset that is looked for, frames.
MAX_OFFSET = 15
#: Fewest frames that two cameras must share at an offset.
MIN_FRAMES = 8
#: Least correlation of the motion of two cameras at their offset, and by how much it must exceed that without one.
MIN_CORRELATION, MIN_ADVANTAGE = 0.5, 0.05
#: Points on the upper and the lower inner lip, and the corners of the mouth and of the eyes.
UPPER_LIP, LOWER_LIP, MOUTH_CORNERS, EYE_CORNERS = 13, 14, (78, 308), (33, 263)


def mouth_motion(landmarks: Float) -> Float:
    """Signals `[V,F,2]` that do not depend on the view: opening and width of the mouth per distance of the eyes.

    Both are compared by correlation, so that a constant factor of a view (foreshortening) does not matter.

    Args:
        landmarks: `[V,F,478,2+]` pixels, nan where there are none.
    """

    def distance(a: int, b: int) -> Float:
        return np.asarray(np.linalg.norm(landmarks[..., a, :2] - landmarks[..., b, :2], axis=-1))

    eyes = distance(*EYE_CORNERS)
    return np.stack([distance(UPPER_LIP, LOWER_LIP) / eyes, distance(*MOUTH_CORNERS) / eyes], axis=-1)


def find_offsets(signals: Float) -> list[float | None]:
    """By how many frames each camera is late against most others.

    None: the camera's signal agrees with no offset, or the motion is too small to tell.

    Args:
        signals: `[V,F,C]`, nan where unknown.
    """
    views, frames = signals.shape[:2]
    reach = min(MAX_OFFSET, frames - MIN_FRAMES)
    if reach < 1:
        return [None] * views
    lags = np.arange(-reach, reach + 1)
    scores = np.array([[[_correlation(a, b, lag) for lag in lags] for b in signals] for a in signals])
    reference = int(np.nanargmax(np.nan_to_num(scores, nan=-1.0).max(axis=2).sum(axis=1)))
    found = [0.0 if view == reference else _offset(scores[reference, view], lags) for view in range(views)]
    usual = float(np.median([round(offset) for offset in found if offset is not None]))
    return [None if offset is None else offset - round(usual) for offset in found]


def _correlation(a: Float, b: Float, lag: int) -> float:
    """Mean correlation of channels of `a` at frame n with those of `b` at frame n + lag."""
    count = len(a) - abs(lag)
    first, second = (a[:count], b[lag:]) if lag >= 0 else (a[-lag:], b[:count])
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if known.sum() < MIN_FRAMES:
        return float("nan")
    x, y = (values[known] - values[known].mean(axis=0) for values in (first, second))
    # Weighed by their variance: a channel without motion has only noise.
    scale = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    return float((x * y).sum() / scale.sum()) if scale.sum() > 0 else float("nan")


def _offset(scores: Float, lags: Float) -> float | None:
    """The lag of the highest correlation, to a fraction of a frame by a parabola through its neighbours."""
    if not np.isfinite(scores).any() or np.nanmax(scores) < MIN_CORRELATION:
        return None
    best = int(np.nanargmax(scores))
    without = scores[int(np.flatnonzero(lags == 0)[0])]
    if lags[best] != 0 and np.isfinite(without) and scores[best] - without < MIN_ADVANTAGE:
        return 0.0
    if not 0 < best < len(lags) - 1 or not np.isfinite(scores[[best - 1, best + 1]]).all():
        return float(lags[best])
    left, middle, right = scores[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    return float(lags[best] + (0.5 * (left - right) / curvature if curvature < 0 else 0.0))
