"""Points that were found in space on many heads of one topology, as points of its surface."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headfit.evaluate.surface import SurfaceDistance
from headfit.types import Bool, Float, Int

#: Least share of the heads on which a point must have been found.
MIN_SHARE = 0.5


class SurfaceLandmarks(NamedTuple):
    """N points of a surface: faces `[N]` (-1: unknown), barycentric weights `[N,3]`, and spread `[N]` (the unit of the
    vertices; infinite where unknown): the median distance of what was found on a head from the point on that head."""

    faces: Int
    bary: Float
    spread: Float


def surface_landmarks(rest: Float, faces: Int, posed: Float, found: Float, allowed: Bool) -> SurfaceLandmarks:
    """The point of the surface that is nearest to each point, over all heads.

    On each head the nearest point of its surface is taken and carried to the head at rest. There the median over heads
    is again put on the surface.

    Args:
        rest: vertices `[V,3]` of the head at rest.
        faces: `[F,3]`.
        posed: vertices `[H,V,3]` of H heads: other persons and expressions.
        found: points `[H,N,3]` found on them; nan where a point was not.
        allowed: `[F]` or `[N,F]`, the faces that a point may be on.

    Raises:
        ValueError: no face is allowed.
    """
    count = found.shape[1]
    result = SurfaceLandmarks(np.full(count, -1), np.zeros((count, 3)), np.full(count, np.inf))
    allowed = np.broadcast_to(allowed, (count, len(faces)))
    known: Bool = np.asarray(np.isfinite(found).all(axis=-1))
    enough = known.mean(axis=0) >= MIN_SHARE
    choices, of_point = np.unique(allowed, axis=0, return_inverse=True)
    for number, choice in enumerate(choices):
        chosen = np.flatnonzero((of_point.ravel() == number) & enough)
        if not len(chosen):
            continue
        among = np.flatnonzero(choice)
        carried = np.full((len(posed), len(chosen), 3), np.nan)
        for head, vertices in enumerate(posed):
            there = known[head, chosen]
            nearest = SurfaceDistance(vertices, faces[among]).closest(found[head, chosen[there]])
            carried[head, there] = on_surface(rest, faces[among[nearest.face]], nearest.bary)
        nearest = SurfaceDistance(rest, faces[among]).closest(np.nanmedian(carried, axis=0))
        result.faces[chosen], result.bary[chosen] = among[nearest.face], nearest.bary
        apart = found[:, chosen] - on_surface(posed, faces[result.faces[chosen]], nearest.bary)
        result.spread[chosen] = np.nanmedian(np.linalg.norm(apart, axis=-1), axis=0)
    return result


def on_surface(vertices: Float, corners: Int, bary: Float) -> Float:
    """Points `[...,N,3]` of vertices `[...,V,3]`: corners `[N,3]` of their triangles, barycentric weights `[N,3]`."""
    points: Float = (vertices[..., corners, :] * bary[..., None]).sum(-2)
    return points


def nearer_side(faces: Int, posed: Float, found: Float, sides: tuple[Bool, Bool]) -> Int:
    """Of two sets of faces the one that each point is nearer to on more of the heads, `[N]`: 0 or 1; -1: both equally.

    Lips touch in many poses and open in others: those tell which lip a point belongs to.

    Args:
        faces, posed, found: as in `surface_landmarks`.
        sides: bool `[F]` each.
    """
    votes = np.zeros(found.shape[1])
    for vertices, points in zip(posed, found, strict=True):
        there = np.isfinite(points).all(axis=-1)
        first, second = (SurfaceDistance(vertices, faces[side]).closest(points[there]).distance for side in sides)
        votes[there] += np.sign(second - first)
    return np.where(votes > 0, 0, np.where(votes < 0, 1, -1))
