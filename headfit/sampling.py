"""Choosing a few of many: frames of a capture, cameras of a rig, points of a surface."""

from __future__ import annotations

import numpy as np

from headfit.types import Int


def evenly_spaced(count: int, most: int) -> Int:
    """Ascending distinct indices `[min(count, most)]` below `count`, evenly spaced from the first to the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
