"""A random identity and its motion: a smooth path through given key poses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headfit.head import HeadModel

UNNAMED_SPREAD = 0.2  # standard deviation of units that are statistical components, of their full range
IDENTITY_SPREAD = 0.8  # standard deviations of the identity basis: an individual, but never a caricature


@dataclass(frozen=True)
class KeyPose:
    """Weights of face units (ARKit names) in [0, 1]; rotations of joints and head, degrees about x, y, z."""

    units: Mapping[str, float] = field(default_factory=dict)
    joints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _both(name: str, weight: float) -> dict[str, float]:
    return {f"{name}Left": weight, f"{name}Right": weight}


def _gaze(yaw: float, pitch: float) -> dict[str, tuple[float, float, float]]:
    return {"left_eye": (pitch, yaw, 0.0), "right_eye": (pitch, yaw, 0.0)}


#: Together they show what a fit must explain: closed lips, teeth, tongue, mouth cavity, closed lids, moving eyes.
KEY_POSES: tuple[KeyPose, ...] = (
    KeyPose(),
    KeyPose(_both("mouthSmile", 0.8) | _both("mouthUpperUp", 0.5), _gaze(8, 0), (2, 6, 0)),
    KeyPose({"jawOpen": 0.35} | _both("mouthLowerDown", 0.5), _gaze(14, -4), (0, 10, 2)),
    KeyPose({"jawOpen": 0.75} | _both("browOuterUp", 0.6), _gaze(0, 5), (-4, 4, 0)),
    KeyPose(
        {"jawOpen": 0.5, "tongueOut": 0.35, "tongueLeft": 0.4} | _both("mouthStretch", 0.3), _gaze(-10, 0), (0, -3, -2)
    ),
    KeyPose(_both("eyeBlink", 1.0) | {"mouthPucker": 0.5}, {}, (3, -8, 0)),
    KeyPose({"mouthFunnel": 0.7, "jawOpen": 0.2, "browInnerUp": 0.5}, _gaze(-15, 3), (0, -10, -3)),
    KeyPose(_both("mouthSmile", 0.5) | _both("browDown", 0.5), _gaze(0, -6), (2, -4, 0)),
)


@dataclass(frozen=True)
class Performance:
    """The parameters of N frames.

    Attributes:
        identity: `[I]` coefficients.
        expression: `[N,E]` weights.
        joints: `[N,J,6]` rotations (axis-angle, radians) and translations (metres).
        head_rotation: `[N,3]` axis-angle, radians.
        head_translation: `[N,3]` metres.
    """

    identity: np.ndarray
    expression: np.ndarray
    joints: np.ndarray
    head_rotation: np.ndarray
    head_translation: np.ndarray


def perform(frames: int, head: HeadModel, rng: np.random.Generator) -> Performance:
    """A performance that passes through all key poses, evenly spaced in time and eased between them.

    Units and joints of the key poses that the head lacks are left out. Its units with negative weights are statistical
    components that no key pose names; they take random values.

    Args:
        frames: number of frames.
        head: the head model.
        rng: source of identity and variation.
    """
    expression = np.zeros((len(KEY_POSES), len(head.expression_names)))
    joints = np.zeros((len(KEY_POSES), len(head.joint_names), 6))
    rotation = np.zeros((len(KEY_POSES), 3))
    for key, pose in enumerate(KEY_POSES):
        for name, weight in pose.units.items():
            # Some heads split a unit into a left and a right one.
            expression[key, np.isin(head.expression_names, [name, f"{name}Left", f"{name}Right"])] = weight
        for name, degrees in pose.joints.items():
            joints[key, np.isin(head.joint_names, name), :3] = np.deg2rad(degrees)
        rotation[key] = np.deg2rad(pose.head)
    expression *= rng.uniform(0.85, 1.0, expression.shape)
    both_ways = head.expression_lowest.numpy() < 0
    if both_ways.any():
        expression[:, both_ways] = rng.normal(scale=UNNAMED_SPREAD, size=(len(KEY_POSES), int(both_ways.sum())))
    translation = rng.normal(scale=0.003, size=(len(KEY_POSES), 3))
    ease = _ease_weights(frames, len(KEY_POSES))
    return Performance(
        identity=rng.normal(size=len(head.identity_basis)) * IDENTITY_SPREAD,
        expression=ease @ expression,
        joints=np.einsum("fk,kjc->fjc", ease, joints),
        head_rotation=ease @ rotation,
        head_translation=ease @ translation,
    )


def _ease_weights(frames: int, keys: int) -> np.ndarray:
    """Weights `[N,K]` of K key poses in N frames: smoothstep between the two nearest ones."""
    time = np.linspace(0, keys - 1, frames)
    before = np.minimum(time.astype(int), keys - 2)
    step = time - before
    after = step * step * (3 - 2 * step)
    weights = np.zeros((frames, keys))
    weights[np.arange(frames), before] = 1 - after
    weights[np.arange(frames), before + 1] = after
    return weights
