"""`Registration`: the parameters of a head model placed on one or several meshes, and its vertices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from headfit.errors import HeadfitError
from headfit.head import HeadModel
from headfit.head.similarity import robust_similarity
from headfit.modelling.registration.matching import Target
from headfit.types import Float

#: The jaw line (landmarks 0-16) is skipped: its points are not fixed to the surface but depend on the view.
FIRST_LANDMARK = 17
#: Groups that all targets share; the others are per target.
SHARED = ("scale", "identity", "placement")
#: One unit of a translation in joints, placement and pose, in metres.
TRANSLATION_UNIT = 0.05
#: Steps of the finite differences, in each group's units.
STEP = {"identity": 0.5, "expression": 0.2, "joints": 0.01, "placement": 0.01}
BATCH = 16  # heads evaluated at a time for finite differences


@dataclass(frozen=True)
class Registration:
    """Parameters of a head for N targets: v = exp(scale) R(pose[:3]) v_head + pose[3:].

    Attributes:
        head: the head model.
        scale: logarithm of the scale, shared by all targets.
        identity: `[I]`, see HeadModel.forward.
        placement: `[R,9]`.
        pose: `[N,6]` axis-angle (radians) and translation (metres) of each target.
        expression: `[N,E]`.
        joints: `[N,J,6]`.
        offsets: `[Vc,3]` metres.
    """

    head: HeadModel
    scale: float
    identity: Tensor
    placement: Tensor
    pose: Tensor
    expression: Tensor
    joints: Tensor
    offsets: Tensor

    def vertices(self, frame: int) -> Float:
        """Fine vertices `[V,3]` for target `frame`, in its frame, metres."""
        v_head = self._heads(frame, {}, 1)[0].double().numpy()
        return v_head @ self._linear(frame).T + self.pose[frame, 3:].numpy()

    def only(self, frame: int) -> Registration:
        """The registration to target `frame` alone."""
        own = {name: getattr(self, name)[frame : frame + 1] for name in ("pose", "expression", "joints")}
        return replace(self, **own)

    def nudged(self, name: str, frame: int, size: int) -> NDArray[np.float32]:
        """Displacements `[size,V,3]` of the vertices per unit of each entry of a group, by finite differences."""
        step = torch.diag(torch.from_numpy(STEP[name] * units_of(name, size))).float()
        old = getattr(self, name) if name in SHARED else getattr(self, name)[frame]
        new = old + step.view(size, *old.shape)
        if name == "placement":  # HeadModel takes one placement for a whole batch
            heads = torch.cat([self._heads(frame, {name: row}, 1) for row in new])
        else:
            heads = torch.cat([self._heads(frame, {name: rows}, len(rows)) for rows in new.split(BATCH)])
        move = (heads - self._heads(frame, {}, 1)) / STEP[name]
        return (move @ torch.from_numpy(self._linear(frame).T).float()).numpy()

    def _linear(self, frame: int) -> Float:
        return np.exp(self.scale) * Rotation.from_rotvec(self.pose[frame, :3].numpy()).as_matrix()

    def _heads(self, frame: int, other: dict[str, Tensor], count: int) -> Tensor:
        """Vertices `[count,V,3]` of a frame in the head frame, with the arguments in `other` replaced."""
        arguments = {
            "identity": self.identity,
            "expression": self.expression[frame].expand(count, -1),
            "joints": self.joints[frame].expand(count, -1, -1),
            "offsets": self.offsets,
            "placement": self.placement,
        }
        with torch.no_grad():
            return self.head(**(arguments | other))


def start(head: HeadModel, targets: Sequence[Target]) -> Registration:
    """The mean head, placed by the landmarks without the jaw line. Raises HeadfitError for a head without landmarks."""
    if not head.has_landmarks:
        raise HeadfitError("a head without landmarks cannot be registered: they give its initial position")
    empty = Registration(
        head=head,
        scale=0.0,
        identity=torch.zeros(len(head.identity_basis)),
        placement=torch.zeros(len(head.rigid_part_names), 9),
        pose=torch.zeros(len(targets), 6, dtype=torch.float64),
        expression=torch.zeros(len(targets), len(head.expression_names)),
        joints=torch.zeros(len(targets), len(head.joint_names), 6),
        offsets=torch.zeros(head.cage_count, 3),
    )
    ours = landmarks(head, empty.vertices(0))[FIRST_LANDMARK:]
    scale, pose = None, empty.pose.clone()
    for frame, target in enumerate(targets):
        theirs = target.vertices[target.landmarks[FIRST_LANDMARK:]]
        scale, turn, shift = robust_similarity(ours, theirs, np.ones(len(ours)), scale)
        pose[frame] = torch.from_numpy(np.r_[Rotation.from_matrix(turn).as_rotvec(), shift])
    return replace(empty, scale=float(np.log(scale or 1.0)), pose=pose)


def landmarks(head: HeadModel, vertices: Float) -> Float:
    """The head's landmarks `[68,3]` on its fine vertices `[V,3]`."""
    return np.asarray(head.landmarks(torch.from_numpy(vertices)))


def units_of(name: str, size: int) -> Float:
    """Size `[size]` of one unit of each entry of a group: `TRANSLATION_UNIT` for translations, otherwise 1."""
    t = TRANSLATION_UNIT
    row = {"joints": [1, 1, 1, t, t, t], "placement": [t, t, t, 1, 1, 1, 1, 1, 1], "pose": [1, 1, 1, t, t, t]}.get(name)
    return np.ones(size) if row is None else np.tile(np.array(row, float), size // len(row))
