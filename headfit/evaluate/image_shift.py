"""Estimation of the shift, in pixels, between an image and its render."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Difference at which a pixel's weight is one half: larger ones show different content, not shifted content.
RESIDUAL_SCALE = 0.1
STEPS = 5
#: Largest shift (pixels) that is reported: beyond it, blurred borders no longer overlap.
MAX_SHIFT = 6.0


def estimate_shift(rendered: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The shifts d `[B,2]` (pixels: x right, y down) with target(x) = rendered(x - d), by robust Gauss-Newton steps.

    Args:
        rendered, target: `[B,H,W,C]`, both about 0 to 1, smooth over the expected shifts.
        weight: `[B,H,W,C]` of the render's pixels, shifted with them; 0: not compared.

    Returns:
        The shifts; NaN where the weighted images do not determine one, or it exceeds `MAX_SHIFT`.
    """
    model = torch.cat([rendered, weight], dim=-1).permute(0, 3, 1, 2)
    wanted = target.permute(0, 3, 1, 2)
    count = wanted.shape[1]
    d = wanted.new_zeros(len(wanted), 2)
    eye = torch.eye(2).to(d)
    for _ in range(STEPS):
        moved = _moved(model, d)
        image, counted = moved[:, :count], (moved[:, count:] > 0.99).to(moved)
        slope = torch.stack([_slope(image, 3), _slope(image, 2)], dim=-1)  # of the render, which moves against d
        residual = wanted - image
        robust = counted / (1 + (residual / RESIDUAL_SCALE).square())
        normal = torch.einsum("bchw,bchwi,bchwj->bij", robust, slope, slope)
        right = -torch.einsum("bchw,bchwi,bchw->bi", robust, slope, residual)
        known = torch.linalg.eigvalsh(normal)[:, 0] > 1e-2
        step = torch.linalg.solve(torch.where(known[:, None, None], normal, eye), right)
        d = torch.where(known[:, None], d + step.clamp(-3, 3), torch.nan)
    return torch.where(d.abs().amax(1, keepdim=True) <= MAX_SHIFT, d, torch.nan)


def _moved(image: Tensor, d: Tensor) -> Tensor:
    """`image [B,C,H,W]` shifted by `d [B,2]` pixels, padded with zeros."""
    height, width = image.shape[-2:]
    shift = torch.nan_to_num(d) * d.new_tensor([2 / width, 2 / height])
    theta = torch.cat([torch.eye(2).to(d).expand(len(d), 2, 2), -shift[..., None]], dim=-1)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _slope(image: Tensor, dim: int) -> Tensor:
    """Central differences per pixel along `dim`, 0 at the border."""
    inner = (image.narrow(dim, 2, image.shape[dim] - 2) - image.narrow(dim, 0, image.shape[dim] - 2)) / 2
    pad = (1, 1, 0, 0) if dim == 3 else (0, 0, 1, 1)
    return F.pad(inner, pad)
