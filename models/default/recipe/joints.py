"""Pose correctives: what the skin does when a joint turns that linear blend skinning cannot do."""

import numpy as np
import rig
from contacts import GAZE, GAZE_SIDE

WAYS = ("Up", "Down", "In", "Out")


def pose_correctives(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Shapes [9 J,Vc,3] per entry of R - I of each joint, row by row.

    Lids ride on the eyeball: turned by the angle of an eyeLook unit, the eye brings that unit's shape along. Turns
    about x show in the entries (2,1) = sin and (1,1) = cos - 1, turns about y in (0,2) = sin and (0,0) = cos - 1.
    """
    names = [str(n) for n in arrays["expression_names"]]
    result = np.zeros((9 * len(rig.JOINT_NAMES), *arrays["mean"].shape))
    for side, tag in (("left_eye", "Left"), ("right_eye", "Right")):
        shape = {way: arrays["expression_basis"][names.index(f"eyeLook{way}{tag}")] for way in WAYS}
        left, right = ("Out", "In") if tag == "Left" else ("In", "Out")
        entries = result[9 * rig.JOINT_NAMES.index(side) :][:9].reshape(3, 3, *arrays["mean"].shape)
        for sine, cosine, plus, minus, angles in (
            ((2, 1), (1, 1), "Down", "Up", (GAZE["Down"][0], GAZE["Up"][0])),
            ((0, 2), (0, 0), left, right, (GAZE_SIDE, -GAZE_SIDE)),
        ):
            # Both shapes are met at their angles: [sin, cos - 1] of each times the two entries' shapes.
            system = np.array([[np.sin(angle), np.cos(angle) - 1] for angle in angles])
            pair = np.stack([shape[plus], shape[minus]])
            entries[sine], entries[cosine] = np.tensordot(np.linalg.inv(system), pair, 1)
    return result
