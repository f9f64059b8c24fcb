"""MediaPipe's 478 landmarks, and the 68 of iBUG 300-W among them."""

from __future__ import annotations

import numpy as np

from headfit.types import Float

DENSE_COUNT = 478
#: For each iBUG point the points of the face mesh whose mean it is; the nose's ridge is sampled evenly.
_JAW = (127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE = ((168,), (197,), (195, 5), (4,), (98,), (97,), (2,), (326,), (327,))
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 81, 13, 311, 308, 402, 14, 178)
SPARSE = (*((i,) for i in (*_JAW, *_BROWS)), *_NOSE, *((i,) for i in (*_EYES, *_LIPS)))

#: Scatter, as a share of the face's extent, at which a point's confidence is one half.
HALF_SCATTER = 0.015
#: The mesh's oval is a line of the skin. The jaw line of iBUG is the outline in each view: no evidence for it.
JAW_CONFIDENCE = 0.0


def dense_to_sparse(points: Float, scatter: Float) -> Float:
    """The 68 iBUG landmarks `[68,3]` (x, y, confidence) of MediaPipe's.

    Args:
        points: `[478,2]` pixels.
        scatter: `[478]` pixels, how far the detector is from agreeing with itself.
    """
    extent = _extent(points)
    rows = []
    for number, sources in enumerate(SPARSE):
        chosen = list(sources)
        confidence = _confidence(scatter[chosen].mean(), extent)
        rows.append([*points[chosen].mean(axis=0), confidence * (JAW_CONFIDENCE if number < len(_JAW) else 1.0)])
    return np.array(rows)


def dense_confidence(points: Float, scatter: Float) -> Float:
    """Confidences `[478]` in [0, 1] of points `[478,2]` by their scatter `[478]`, both in pixels."""
    return np.asarray(_confidence(scatter, _extent(points)))


def _extent(points: Float) -> float:
    """The longer side of the face, pixels; the irises are in it."""
    return float(np.ptp(points[:468], axis=0).max())


def _confidence(scatter: Float, extent: float) -> Float:
    return 1 / (1 + (scatter / (HALF_SCATTER * extent)) ** 2)
