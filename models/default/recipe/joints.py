"""Pose correctives: the motion of the skin with a joint that linear blend skinning cannot represent."""

import numpy as np
import skeleton
from contacts import GAZE, GAZE_SIDE

ENTRY = np.arange(9).reshape(3, 3)  # index of each entry of R - I, row by row
WAYS = ("Up", "Down", "In", "Out")


def pose_correctives(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Corrective shapes `[9 J,Vc,3]`, one per entry of R - I of each joint, row by row; non-zero for jaw and eyes."""
    result = _lids(arrays)
    result[9 * skeleton.JOINT_NAMES.index("jaw") + ENTRY[2, 1]] = _jaw(arrays)
    return result


def _jaw(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The jaw's shape `[Vc,3]`, to be multiplied by the sine of its angle.

    With it, rotating the joint by jawOpen's angle gives jawOpen's shape: rounded corners of the mouth instead of a V,
    and flesh that keeps clear of the teeth.
    """
    names = [str(n) for n in arrays["expression_names"]]
    rest, field = arrays["mean"], arrays["expression_basis"][names.index("jawOpen")]
    jaw, tongue = (1 + skeleton.JOINT_NAMES.index(name) for name in ("jaw", "tongue"))
    parts = [str(n) for n in arrays["rigid_part_names"]]
    teeth = arrays["cage_rigid_part"] == parts.index("lower_teeth")
    pivot = arrays["pivots"][jaw - 1]
    rotation, _ = skeleton.rigid_fit(rest[teeth], rest[teeth] + field[teeth])
    share = arrays["skinning_weights"][:, [jaw, tongue]].sum(1)
    # The model adds the shape c before skinning: solve blend (rest + c) + shift = rest + field for c.
    blend = np.eye(3) + share[:, None, None] * (rotation - np.eye(3))
    shift = share[:, None] * (pivot - rotation @ pivot)
    before = np.linalg.solve(blend, (rest + field - shift)[..., None])[..., 0] - rest
    before[arrays["cage_rigid_part"] >= 0] = 0
    return before / rotation[2, 1]


def _lids(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Corrective shapes `[9 J,Vc,3]` of the eyes, zero for the other joints.

    The lids follow the eyeball: at the angle of an eyeLook unit, the eye's correctives give that unit's shape. In
    R - I, a rotation about x has the entries (2,1) = sin and (1,1) = cos - 1, one about y (0,2) = sin and
    (0,0) = cos - 1.
    """
    names = [str(n) for n in arrays["expression_names"]]
    result = np.zeros((9 * len(skeleton.JOINT_NAMES), *arrays["mean"].shape))
    for side, tag in (("left_eye", "Left"), ("right_eye", "Right")):
        shape = {way: arrays["expression_basis"][names.index(f"eyeLook{way}{tag}")] for way in WAYS}
        left, right = ("Out", "In") if tag == "Left" else ("In", "Out")
        entries = result[9 * skeleton.JOINT_NAMES.index(side) :][:9].reshape(3, 3, *arrays["mean"].shape)
        for sine, cosine, plus, minus, angles in (
            ((2, 1), (1, 1), "Down", "Up", (GAZE["Down"][0], GAZE["Up"][0])),
            ((0, 2), (0, 0), left, right, (GAZE_SIDE, -GAZE_SIDE)),
        ):
            # Two equations for the two entries: at each unit's angle, sin and cos - 1 times them give its shape.
            system = np.array([[np.sin(angle), np.cos(angle) - 1] for angle in angles])
            pair = np.stack([shape[plus], shape[minus]])
            entries[sine], entries[cosine] = np.tensordot(np.linalg.inv(system), pair, 1)
    return result
