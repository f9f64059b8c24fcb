"""Rotations from axis-angle vectors."""

import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices `[...,3,3]` of axis-angle vectors `[...,3]` in radians (Rodrigues' formula).

    R = I + a K + b K^2 with K the cross-product matrix, t the angle, a = sin(t)/t and b = (1 - cos t)/t^2. Near t = 0,
    where these quotients and the derivative of t are undefined, their Taylor series are used: gradients at 0 are exact.
    """
    squared = (axis_angle**2).sum(-1)
    small = squared < 1e-4
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    a = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    b = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / angle**2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=k.dtype, device=k.device)
    return eye + a[..., None, None] * k + b[..., None, None] * (k @ k)
