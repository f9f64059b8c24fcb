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
    blurred: Tensor = _Blur.apply(image, kernel / kernel.sum())
    return blurred


class _Blur(torch.autograd.Function):
    """Convolves `image [B,H,W,C]` with a symmetric kernel along rows and columns.

    The derivative is the transpose: a convolution with the same kernel, after which what fell on a copy of an edge is
    added to that edge. Torch's own derivative of a convolution with one kernel for each channel takes three times as
    long, and that of `F.pad` differs from run to run on a GPU.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        radius = len(kernel) // 2
        planes = image.permute(0, 3, 1, 2)
        for dim in (3, 2):
            edges = planes.narrow(dim, 0, 1), planes.narrow(dim, planes.shape[dim] - 1, 1)
            first, last = (edge.repeat_interleave(radius, dim) for edge in edges)
            planes = _convolve(torch.cat([first, planes, last], dim), kernel, dim, 0)
        return planes.permute(0, 2, 3, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kernel,) = ctx.saved_tensors
        radius = len(kernel) // 2
        planes = grad.permute(0, 3, 1, 2)
        for dim in (2, 3):
            wide = _convolve(planes, kernel, dim, 2 * radius)
            length = planes.shape[dim]
            planes = wide.narrow(dim, radius, length).clone()
            planes.narrow(dim, 0, 1).add_(wide.narrow(dim, 0, radius).sum(dim, keepdim=True))
            planes.narrow(dim, length - 1, 1).add_(wide.narrow(dim, radius + length, radius).sum(dim, keepdim=True))
        return planes.permute(0, 2, 3, 1), None


def _convolve(planes: Tensor, kernel: Tensor, dim: int, padding: int) -> Tensor:
    """`planes [B,C,H,W]` convolved with a `kernel` along dimension `dim`, with that many zeros before and after."""
    shape = (1, 1, 1, -1) if dim == 3 else (1, 1, -1, 1)
    pad = (0, padding) if dim == 3 else (padding, 0)
    count = planes.shape[1]
    return F.conv2d(planes, kernel.view(shape).expand(count, *[-1] * 3), padding=pad, groups=count)


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
        return torch.where(per_channel(pixels, grad.shape[-1]), 0.0, grad), None


def per_channel(mask: Tensor, channels: int) -> Tensor:
    """`mask [B,H,W]`, bool, as `[B,H,W,channels]`, the same in each: `torch.where` is several times faster with it than
    with `mask[..., None]`, which it repeats number by number."""
    return torch.stack([mask] * channels, dim=-1)


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
