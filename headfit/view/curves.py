"""The expression and the joints over time, as curves."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from headfit.export.motion import HeadMotion
from headfit.types import Float

#: The choice of the units that move most, and how many those are; the choice of the pose of the head.
MOST_ACTIVE, ACTIVE, HEAD = "most active units", 6, "head"


def choices(motion: HeadMotion) -> list[str]:
    """What curves can be shown: the most active units, the pose of the head, each joint, each unit."""
    head = motion.head
    return [MOST_ACTIVE, HEAD, *(f"joint {name}" for name in head.joint_names), *head.expression_names]


def curves(motion: HeadMotion, choice: str) -> dict[str, Float]:
    """The curves `[F]` of one of `choices`, by name: weights of units, degrees (axis-angle) and millimetres.

    The head's turns and shifts are those from its mean pose.
    """
    head = motion.head
    expression = motion.expression.double().cpu().numpy()
    if choice == MOST_ACTIVE:
        moving = np.argsort(-np.ptp(expression, axis=0), kind="stable")[:ACTIVE]
        return {head.expression_names[unit]: expression[:, unit] for unit in sorted(moving)}
    if choice in head.expression_names:
        return {choice: expression[:, head.expression_names.index(choice)]}
    if choice == HEAD:
        turns = Rotation.from_matrix(motion.turns()).as_rotvec()
        shifts = motion.translation - motion.translation.mean(axis=0)
    else:
        joint = motion.joints[:, head.joint_names.index(choice.removeprefix("joint "))].double().cpu().numpy()
        turns, shifts = joint[:, :3], joint[:, 3:]
    found = {f"turn {axis} (deg)": np.rad2deg(turns[:, index]) for index, axis in enumerate("xyz")}
    return found | {f"shift {axis} (mm)": 1000 * shifts[:, index] for index, axis in enumerate("xyz")}
