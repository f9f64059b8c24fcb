"""Corrections of MakeHuman's mean shape: lids that reach the smaller eyeball, lips that touch.

MakeHuman's lids are shelves that end inside its eyeball of 16 mm radius. Ours has 12 mm, so at the corners of the eye
the shelf would stop short of it and leave a visible gap. MakeHuman's lips are half a millimetre apart at rest.
"""

import numpy as np
from crop import SoftMesh
from eyes import SCLERA_RADIUS
from labels import ordered_loop, upper_half, walking_distance

LID_DEPTH = 0.0007  # how far inside the eyeball a lid's inner end stays, metres
LID_REACH = 0.006  # falloff of that correction into the socket
LIP_REACH = 0.003  # falloff of the lip closure over the lip


def lid_correction(soft: SoftMesh, rest: np.ndarray, centres: dict[str, np.ndarray]) -> np.ndarray:
    """Displacement `[V,3]` that pulls the inner ends of the lids inside the eyeballs; the sockets follow."""
    total = np.zeros_like(rest)
    for side, centre in centres.items():
        socket = f"{side}_socket"
        loop = np.unique(soft.loop_between("skin", socket))
        arm = rest[loop] - centre
        distance = np.linalg.norm(arm, axis=1, keepdims=True)
        pull = np.minimum(SCLERA_RADIUS - LID_DEPTH - distance, 0) * arm / distance
        quads = soft.quads[soft.islands == socket]
        total += spread(rest, quads, loop, pull, LID_REACH)
    return total


def lip_correction(soft: SoftMesh, rest: np.ndarray) -> np.ndarray:
    """Displacement `[V,3]` that closes the lip slit by moving both sides half-way."""
    slit = ordered_loop(soft.loop_between("skin", "mouth_cavity"))
    upper = upper_half(rest, slit)
    lower = np.concatenate([np.setdiff1d(slit, upper), upper[[0, -1]]])
    sides = [side[np.argsort(rest[side, 0])] for side in (upper, lower)]
    move = np.zeros((len(slit), 3))
    position = {int(v): i for i, v in enumerate(slit)}
    for mine, other in (sides, sides[::-1]):
        x = rest[mine, 0]
        facing = np.stack([np.interp(x, rest[other, 0], rest[other, c]) for c in range(3)], -1)
        for vertex, gap in zip(mine, facing - rest[mine], strict=True):
            move[position[int(vertex)]] = gap * [0, 0.5, 0]
    quads = soft.quads[np.isin(soft.islands, ("skin", "mouth_cavity"))]
    return spread(rest, quads, slit, move, LIP_REACH)


def spread(rest: np.ndarray, quads: np.ndarray, seeds: np.ndarray, move: np.ndarray, reach: float) -> np.ndarray:
    """Displacement `[V,3]` of a surface: that of the nearest seed, fading as a Gaussian of the walking distance."""
    distance, nearest = walking_distance(rest, quads, seeds)
    position = np.full(len(rest), -1)
    position[seeds] = np.arange(len(seeds))
    near = np.isfinite(distance) & (distance < 4 * reach)
    field = np.zeros_like(rest)
    fade = np.exp(-0.5 * (distance[near] / reach) ** 2)
    field[near] = move[position[nearest[near]]] * fade[:, None]
    return field
