"""Gaze as two angles per eye, or as one direction for both eyes and a vergence angle."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.head.rotation import axis_angle_to_matrix


def gaze_rotation(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Axis-angle `[...,3]` (radians) of an eye that looks along `gaze_direction(yaw, pitch)` without torsion.

    By Listing's law the axis is perpendicular to the rest direction, so the eye never rolls. The result goes into the
    first three values of an eye's joint.

    Args:
        yaw: radians to the subject's left, `[...]`.
        pitch: radians down, `[...]`.
    """
    forward = gaze_direction(yaw, pitch)
    # The axis from z to the direction d is z x d = (-d_y, d_x, 0); its length is the sine of the angle.
    sine = torch.stack([-forward[..., 1], forward[..., 0], torch.zeros_like(yaw)], -1)
    length = sine.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
    return sine * torch.atan2(length, forward[..., 2:]) / length


def gaze_direction(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Unit direction `[...,3]` in the head frame (x the subject's left, y up, z front) of angles `[...]` in radians."""
    return torch.stack([yaw.sin() * pitch.cos(), -pitch.sin(), yaw.cos() * pitch.cos()], -1)


def shared_gaze(yaw: Tensor, pitch: Tensor, vergence: Tensor) -> tuple[Tensor, Tensor]:
    """Axis-angles `[...,3]` of the left and the right eye when both look at one point.

    Args:
        yaw: mean direction, radians to the subject's left, `[...]`.
        pitch: radians down, `[...]`.
        vergence: angle between the two lines of sight in radians, 0 for a far point; each eye turns inwards by half.
    """
    return gaze_rotation(yaw - vergence / 2, pitch), gaze_rotation(yaw + vergence / 2, pitch)


def gaze_angles(axis_angle: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw and pitch `[...]` (radians) of an eye's joint rotation `[...,3]`; its torsion is ignored."""
    x, y, z = axis_angle_to_matrix(axis_angle)[..., 2].unbind(-1)
    return torch.atan2(x, z), torch.atan2(-y, (x.square() + z.square()).sqrt())
