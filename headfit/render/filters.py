"""Image filters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """`image [B,H,W,C]` blurred with a Gaussian of standard deviation `sigma` pixels, edges replicated."""
    radius = max(1, round(3 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (x / sigma).square())
    kernel = kernel / kernel.sum()
    planes = image.permute(0, 3, 1, 2)
    count = planes.shape[1]
    planes = F.pad(planes, (radius, radius, radius, radius), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    return planes.permute(0, 2, 3, 1)


def extend_by_one_pixel(image: Tensor, valid: Tensor) -> Tensor:
    """Colours for the pixels outside of `valid [B,H,W]`: the mean of those of their eight neighbours in
    `image [B,H,W,3]` that are valid, 0 where none is."""
    inside = valid[..., None].to(image)
    return _sum_3x3(image * inside) / _sum_3x3(inside).clamp_min(1.0)


def _sum_3x3(image: Tensor) -> Tensor:
    """Sums over each pixel of `image [B,H,W,C]` and its eight neighbours, 0 beyond the border."""
    for dim in (1, 2):
        length = image.shape[dim]
        total = image.clone()
        total.narrow(dim, 1, length - 1).add_(image.narrow(dim, 0, length - 1))
        total.narrow(dim, 0, length - 1).add_(image.narrow(dim, 1, length - 1))
        image = total
    return image
