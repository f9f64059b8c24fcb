"""Pose correctives: what the skin does when a joint turns that linear blend skinning cannot do."""

import numpy as np
import rig
from contacts import GAZE, GAZE_SIDE

ENTRY = np.arange(9).reshape(3, 3)  # of R - I, row by row
WAYS = ("Up", "Down", "In", "Out")


def pose_correctives(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Shapes [9 J,Vc,3] per entry of R - I of each joint, row by row: of the eyes and of the jaw."""
    result = _lids(arrays)
    result[9 * rig.JOINT_NAMES.index("jaw") + ENTRY[2, 1]] = _jaw(arrays)
    return result


def _jaw(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Shape [Vc,3] per sine of the jaw's angle, with which a turn of the joint gives jawOpen's own shape at its angle:
    rounded corners of the mouth instead of a V, and flesh that keeps clear of the teeth."""
    names = [str(n) for n in arrays["expression_names"]]
    rest, field = arrays["mean"], arrays["expression_basis"][names.index("jawOpen")]
    jaw, tongue = (1 + rig.JOINT_NAMES.index(name) for name in ("jaw", "tongue"))
    parts = [str(n) for n in arrays["rigid_part_names"]]
    teeth = arrays["cage_rigid_part"] == parts.index("lower_teeth")
    pivot = arrays["pivots"][jaw - 1]
    rotation, _ = rig.rigid_fit(rest[teeth], rest[teeth] + field[teeth])
    share = arrays["skinning_weights"][:, [jaw, tongue]].sum(1)
    # Before skinning, since the model adds the shape there: blend (rest + c) + shift = rest + field.
    blend = np.eye(3) + share[:, None, None] * (rotation - np.eye(3))
    shift = share[:, None] * (pivot - rotation @ pivot)
    before = np.linalg.solve(blend, (rest + field - shift)[..., None])[..., 0] - rest
    before[arrays["cage_rigid_part"] >= 0] = 0
    return before / rotation[2, 1]


def _lids(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The eyes' part, zero elsewhere.

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
