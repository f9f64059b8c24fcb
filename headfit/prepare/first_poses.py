"""First poses of a rig's cameras, from the depth that the landmark network guesses in each view.

In a weak perspective the network's points (x, y, z in pixels) of one frame differ between views by a similarity.
"""

from __future__ import annotations

import numpy as np

from headfit.errors import HeadfitError
from headfit.head.similarity import similarity
from headfit.prepare.bundle import Rig
from headfit.types import Bool, Float


def first_rig(shapes: Float, scatter: Float, sizes: Float, focal: float) -> tuple[Rig, list[int]]:
    """A rig in the axes of its best view, in units of that view's face pixels, and the views without a pose.

    Args:
        shapes: `[V,F,P,3]` landmarks with depth, pixels; nan where no face was found.
        scatter: `[V,F,P]` pixels.
        sizes: `[V,2]` widths and heights of the pictures.
        focal: pixels, for every camera.
    """
    views = len(shapes)
    found: Bool = np.asarray(np.isfinite(shapes[..., 0]).all(axis=2))
    if not found.any():
        raise HeadfitError("no face was found in any picture")
    quality = np.array([np.median(scatter[v][found[v]]) if found[v].any() else np.inf for v in range(views)])
    quality = quality / np.maximum(found.sum(axis=1), 1)
    reference = int(quality.argmin())
    placed: dict[int, tuple[Float, float]] = {reference: (np.eye(3), 1.0)}
    for view in np.argsort(quality):
        if view not in placed and found[view].any():
            turns = _turns_from(placed, shapes, scatter, found, int(view))
            if turns:
                placed[int(view)] = _mean_turn(turns)
    principal = sizes / 2
    R, t = np.tile(np.eye(3), (views, 1, 1)), np.tile([0.0, 0.0, focal], (views, 1))
    centre = np.nanmean(shapes[reference], axis=(0, 1))
    for view, (turn, scale) in placed.items():
        # A pixel of the reference is a unit of the world, so a face at depth f has its own size in that view.
        shared = found[view] & found[reference]
        frames = shared if shared.any() else found[view]
        middle = np.nanmean(shapes[view][frames], axis=(0, 1))[:2]
        there = np.nanmean(shapes[reference][frames], axis=(0, 1)) - centre if shared.any() else np.zeros(3)
        R[view] = turn
        depth = focal / scale
        seen_at = np.r_[(middle - principal[view]) / focal * depth, depth]
        t[view] = seen_at - turn @ there
    return Rig(R, t, np.full(views, focal), principal), sorted(set(range(views)) - set(placed))


def _turns_from(
    placed: dict[int, tuple[Float, float]], shapes: Float, scatter: Float, found: Bool, view: int
) -> list[tuple[Float, float]]:
    """Rotation and scale of a view against the reference, by each placed view and frame that it shares."""
    turns = []
    for other, (turn, scale) in placed.items():
        for frame in np.flatnonzero(found[other] & found[view]):
            weight = 1 / (scatter[other, frame] ** 2 + scatter[view, frame] ** 2 + 1)
            factor, rotation, _ = similarity(shapes[other, frame], shapes[view, frame], weight)
            turns.append((rotation @ turn, factor * scale))
    return turns


def _mean_turn(turns: list[tuple[Float, float]]) -> tuple[Float, float]:
    """The rotation nearest to the mean of all, and the median scale."""
    u, _, vt = np.linalg.svd(np.mean([turn for turn, _ in turns], axis=0))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt, float(np.median([scale for _, scale in turns]))
