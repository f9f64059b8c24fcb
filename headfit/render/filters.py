"""Image filters."""

from __future__ import annotations

from typing import Any

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
    planes = _replicate(_replicate(planes, 2, radius), 3, radius)
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    return planes.permute(0, 2, 3, 1)


def _replicate(image: Tensor, dim: int, count: int) -> Tensor:
    """`image` with `count` copies of its first and last slices along `dim`.

    Unlike that of `F.pad`, its derivative is the same, bit for bit, on a CPU and on a GPU that has to be deterministic.
    """
    size = list(image.shape)
    size[dim] = count
    first, last = image.narrow(dim, 0, 1), image.narrow(dim, image.shape[dim] - 1, 1)
    return torch.cat([first.expand(size), image, last.expand(size)], dim)


def double(image: Tensor) -> Tensor:
    """`image [B,C,H,W]` at twice its size, bilinear: `F.interpolate` with `align_corners=False`, of which torch has no
    deterministic derivative on a GPU."""
    doubled: Tensor = _Double.apply(image)
    return doubled


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        return torch.ops.aten.upsample_bilinear2d(image, [2 * size for size in image.shape[-2:]], False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Along each axis, a pixel gives 3/4 to the two that replace it and 1/4 to the next one on either side; the
        outermost ones keep what would fall outside."""
        for dim in (3, 2):
            left, right = grad.unflatten(dim, (-1, 2)).unbind(dim + 1)
            inner = left.shape[dim] - 1
            grad = (left + right) * 0.75
            grad.narrow(dim, 1, inner).add_(right.narrow(dim, 0, inner), alpha=0.25)
            grad.narrow(dim, 0, inner).add_(left.narrow(dim, 1, inner), alpha=0.25)
            grad.narrow(dim, 0, 1).add_(left.narrow(dim, 0, 1), alpha=0.25)
            grad.narrow(dim, inner, 1).add_(right.narrow(dim, inner, 1), alpha=0.25)
        return grad


def without_gradient_at(image: Tensor, pixels: Tensor) -> Tensor:
    """`image [B,H,W,C]`, unchanged; its gradient is 0 at `pixels`, bool `[B,H,W]`."""
    held: Tensor = _WithoutGradientAt.apply(image, pixels)
    return held


class _WithoutGradientAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, pixels: Tensor) -> Tensor:
        ctx.save_for_backward(pixels)
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (pixels,) = ctx.saved_tensors
        return grad.masked_fill(pixels[..., None], 0.0), None


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
