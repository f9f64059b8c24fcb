"""Face units of the tongue that MakeHuman lacks: up, down, left, right, roll."""

import numpy as np
from mouth import smoothstep

BEND_FROM = 0.30  # share of the tongue's length from the root that does not move
UP, DOWN, SIDE = np.radians([34.0, 9.0, 16.0])  # rotation of the tip about the bend, radians
ROLL_RISE, ROLL_IN = 0.009, 0.35  # rise of the sides (metres), and their inward motion as a share of x
NAMES = ("tongueUp", "tongueDown", "tongueLeft", "tongueRight", "tongueRoll")


def tongue_units(points: np.ndarray) -> np.ndarray:
    """Displacements `[5,V,3]` of the tongue's rest vertices `[V,3]` (head frame, metres), in the order of NAMES."""
    x, _, z = points.T
    length = (z - z.min()) / (z.max() - z.min())
    bend = ((length - BEND_FROM) / (1 - BEND_FROM)).clip(0)
    base = points[(length > BEND_FROM - 0.1) & (length < BEND_FROM + 0.1)].mean(0)
    arm = points - base

    def turned(axis: int, angle: float) -> np.ndarray:
        # The angle grows along the tongue, as in a beam bent by its muscles.
        c, s = np.cos(angle * bend), np.sin(angle * bend)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        result = np.zeros_like(points)
        result[:, i] = (c - 1) * arm[:, i] - s * arm[:, j]
        result[:, j] = s * arm[:, i] + (c - 1) * arm[:, j]
        return result * (bend > 0)[:, None]

    side = (x / abs(x).max()).clip(-1, 1)
    roll = np.stack([-ROLL_IN * x, ROLL_RISE * (1.6 * side**2 - 0.3), 0 * x], 1)
    roll *= smoothstep(length, BEND_FROM, 0.8)[:, None]
    return np.stack([turned(0, -UP), turned(0, DOWN), turned(1, SIDE), turned(1, -SIDE), roll])
