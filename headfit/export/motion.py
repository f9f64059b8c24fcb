"""How a head moved in a take: the parameters of its model in every frame, and its pose in the capture's world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headfit.fitting.model import FittedHead
from headfit.head import HeadModel
from headfit.head.rotation import axis_angle_to_matrix
from headfit.types import Float


@dataclass(frozen=True)
class HeadMotion:
    """A person and F frames of a head model: v_world = scale * rotation v_head + translation.

    Attributes:
        head: the head model, which has the names of units and joints.
        identity, placement, offsets: of the person, see `HeadModel.forward`; without what only one frame has.
        expression: `[F,E]` weights of the units.
        joints: `[F,J,6]` axis-angle (radians) and translation (metres).
        scale: metres of the world per metre of the head frame.
        rotation, translation: `[F,3,3]` and `[F,3]` (metres, float64) from the head frame to the world.
    """

    head: HeadModel
    identity: Tensor
    placement: Tensor
    offsets: Tensor
    expression: Tensor
    joints: Tensor
    scale: float
    rotation: Float
    translation: Float

    @classmethod
    @torch.no_grad()
    def of(cls, model: FittedHead) -> HeadMotion:
        """The motion that a fit found, in the capture's world."""
        fitted, world = model.geometry, model.capture.world
        rotation = axis_angle_to_matrix(fitted.rotation) @ fitted.start_rotation
        return cls(
            head=model.head,
            identity=fitted.identity.detach(),
            placement=fitted.placement.detach(),
            offsets=fitted.offsets().detach(),
            expression=fitted.expression.detach(),
            joints=fitted.joints.detach(),
            scale=float(fitted.log_scale.exp()) / world.scale,
            rotation=rotation.double().cpu().numpy(),
            translation=world.to_world(fitted.translation.cpu().numpy()),
        )

    @torch.no_grad()
    def shape(self, expression: Tensor | None = None, joints: Tensor | None = None) -> Float:
        """Vertices `[B,V,3]` of the person in the head frame (metres).

        Args:
            expression: `[B,E]`; default: at rest.
            joints: `[B,J,6]`; default: at rest.
        """
        count = next((len(given) for given in (expression, joints) if given is not None), 1)
        expression = self.expression.new_zeros(count, self.expression.shape[1]) if expression is None else expression
        joints = self.joints.new_zeros(count, *self.joints.shape[1:]) if joints is None else joints
        vertices: Tensor = self.head(self.identity, expression, joints, self.offsets, self.placement)
        return vertices.double().cpu().numpy()

    def to_head(self, vertices: Float, frame: int) -> Float:
        """World vertices `[V,3]` of a frame in the head frame of that frame."""
        return (vertices - self.translation[frame]) @ self.rotation[frame] / self.scale

    def turns(self) -> Float:
        """Rotations `[F,3,3]` of the head from its mean orientation in the take, in its own axes at that orientation
        (x the subject's left, y up, z front)."""
        u, _, vt = np.linalg.svd(self.rotation.mean(0))
        mean = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        return mean.T @ self.rotation
