"""The micro-edge gradient of a given image, and arbitrary loss gradients."""

import torch
from torch import Tensor

from headfit.raster import edge_grad, rasterize


def edge_gradient(
    v_pix: Tensor,
    faces: Tensor,
    image: Tensor,
    grad: Tensor,
    size: tuple[int, int],
    group: Tensor | None = None,
) -> Tensor:
    """The micro-edge gradient alone, `[V,3]`, for an image and its loss gradient, both `[H,W,C]`."""
    v = v_pix[None].requires_grad_()
    index_img, _, _ = rasterize(v.detach(), faces, size)
    out = edge_grad(image[None], v, faces, index_img, group=group)
    return torch.autograd.grad(out, v, grad[None])[0][0]


def random_like(x: Tensor) -> Tensor:
    """Normally distributed numbers of the shape and type of `x`, the same at every call."""
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
