"""Curves: ARKit's 52 units, head pose and gaze as the CSV of Live Link Face, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from headfit.errors import some_of
from headfit.export.motion import HeadMotion
from headfit.export.take import Take
from headfit.files import write_text
from headfit.head.gaze import gaze_angles
from headfit.types import Float

#: ARKit's units, in the order of Live Link Face's columns, which are the same names in capitals.
_NAMES = (
    "eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft "
    "eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight "
    "jawForward jawRight jawLeft jawOpen mouthClose mouthFunnel mouthPucker mouthRight mouthLeft mouthSmileLeft "
    "mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft "
    "mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight "
    "mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp "
    "browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut"
)
ARKIT_UNITS = tuple(_NAMES.split())
ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
#: Units that a rig without a jaw joint opens the mouth by.
JAW_UNITS = ("jawForward", "jawRight", "jawLeft", "jawOpen")


@contextmanager
def curves_writer(folder: Path, take: Take) -> Iterator[None]:
    """`curves.csv` and `curves.json`; docs/export.md describes both."""
    motion = take.motion
    arkit = arkit_weights(motion)
    missing = [name for name in ARKIT_UNITS if name not in motion.head.expression_names]
    if missing:
        take.notes.append(f"this head has no units {some_of(missing)}: 0 in the curves")
    gaze = {name: _gaze(motion, name) for name in ("left_eye", "right_eye")}
    angles = np.concatenate([yaw_pitch_roll(motion.turns()), *(np.pad(g, ((0, 0), (0, 1))) for g in gaze.values())], 1)
    header = ["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in ARKIT_UNITS), *ANGLES]
    rows = [
        ",".join([timecode(index, take.fps), str(len(header) - 2), *(f"{value:.10f}" for value in row)])
        for index, row in enumerate(np.concatenate([arkit.clip(0, 1), angles], axis=1))
    ]
    write_text(folder / "curves.csv", "\n".join([",".join(header), *rows]) + "\n")
    content = {
        "fps": take.fps,
        "frames": take.frames,
        "identity": motion.identity.tolist(),
        "units": dict(zip(motion.head.expression_names, motion.expression.T.tolist(), strict=True)),
        "joints": dict(zip(motion.head.joint_names, motion.joints.transpose(0, 1).tolist(), strict=True)),
        "arkit": {name: arkit[:, i].tolist() for i, name in enumerate(ARKIT_UNITS) if name not in missing},
        "arkit_missing": missing,
        "head": {
            "scale": motion.scale,
            "rotation": motion.rotation.tolist(),
            "translation": motion.translation.tolist(),
        },
        "gaze": {name: angles.tolist() for name, angles in gaze.items() if name in motion.head.joint_names},
    }
    write_text(folder / "curves.json", json.dumps(content))
    yield None


def arkit_weights(motion: HeadMotion) -> Float:
    """Weights `[F,52]` of ARKit's units, 0 for units that the head lacks. ARKit has no jaw joint, so the motion of the
    jaw's joint is added to the jaw units: the non-negative weights that come nearest to it in least squares."""
    head = motion.head
    weights = np.zeros((len(motion.expression), len(ARKIT_UNITS)))
    fitted = motion.expression.double().cpu().numpy()
    for index, name in enumerate(ARKIT_UNITS):
        if name in head.expression_names:
            weights[:, index] = fitted[:, head.expression_names.index(name)]
    units = [name for name in JAW_UNITS if name in head.expression_names]
    if "jaw" in head.joint_names and units:
        rest = motion.shape()[0]
        numbers = [head.expression_names.index(name) for name in units]
        basis = motion.shape(torch.eye(len(head.expression_names), device=head.mean.device)[numbers]) - rest
        alone = torch.zeros_like(motion.joints)
        alone[:, head.joint_names.index("jaw")] = motion.joints[:, head.joint_names.index("jaw")]
        columns = [ARKIT_UNITS.index(name) for name in units]
        q, r = np.linalg.qr(basis.reshape(len(units), -1).T)
        for frame in range(len(weights)):
            moved = motion.shape(joints=alone[frame : frame + 1])[0] - rest
            weights[frame, columns] += nnls(r, q.T @ moved.ravel())[0]
    return weights


def _gaze(motion: HeadMotion, eye: str) -> Float:
    """Yaw to the subject's left and pitch down `[F,2]` (radians) of an eye in the head; 0 where it has no joint."""
    if eye not in motion.head.joint_names:
        return np.zeros((len(motion.joints), 2))
    yaw, pitch = gaze_angles(motion.joints[:, motion.head.joint_names.index(eye), :3])
    return torch.stack([yaw, pitch], dim=1).double().cpu().numpy()


def yaw_pitch_roll(rotations: Float) -> Float:
    """Angles `[F,3]` (radians) of R = R_y(yaw) R_x(pitch) R_z(roll): yaw to the subject's left, pitch down, roll to
    the subject's right shoulder."""
    return Rotation.from_matrix(rotations).as_euler("YXZ")


def timecode(frame: int, fps: float) -> str:
    """HH:MM:SS:FF.FFF of a frame: the last number counts frames of the second, with the fraction of a frame."""
    whole = max(1, round(fps))
    seconds, rest = divmod(frame, whole)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}.000"
