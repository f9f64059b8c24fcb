"""The edge gradient by the rule of the released kernels of "Rasterized Edge Gradients", in plain torch, for comparison.

A pair of neighbouring pixels with different faces counts only if a centre is inside the other pixel's triangle.
Then the triangle in front moves, by perspective-correct barycentrics at its own pixel; if both are, both move by
half. A pair in which neither is counts as two neighbours on one surface and gets no gradient. Every loss is treated
as a squared difference.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def edge_grad(image: Tensor, v_pix: Tensor, faces: Tensor, index_img: Tensor, **_: Any) -> Tensor:
    """Replaces `headfit.raster.edge_grad`."""
    return _Released.apply(image, v_pix, faces, index_img)


class _Released(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, v_pix: Tensor, faces: Tensor, index_img: Tensor) -> Tensor:
        ctx.save_for_backward(image, v_pix, faces, index_img)
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        image, v_pix, faces, index_img = ctx.saved_tensors
        grad_v = torch.zeros_like(v_pix)
        for dim in (2, 1):  # x pairs, y pairs
            _move_pairs(grad_v, 2 - dim, dim, image, grad, v_pix, faces, index_img)
        return grad, grad_v, None, None


def _move_pairs(
    grad_v: Tensor,
    axis: int,
    dim: int,
    image: Tensor,
    grad: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
) -> None:
    count = index_img.shape[dim] - 1
    where = (index_img.narrow(dim, 0, count) != index_img.narrow(dim, 1, count)).nonzero()
    step = torch.zeros(3, dtype=torch.int64)
    step[dim] = 1
    a, b = where.unbind(1), (where + step).unbind(1)
    g = ((grad[a] + grad[b]) / 2 * (image[a] - image[b])).sum(-1)
    weights = {}
    for key, own, other in (("a", a, b), ("b", b, a)):
        face = index_img[own].long()
        corners = v_pix[own[0][:, None], faces[face.clamp_min(0)].long()]
        at_own = _bary(corners, own)
        covers = (_bary(corners, other) >= 0).all(-1) & (face >= 0)
        weights[key] = (face, at_own / corners[..., 2], covers)
    for key, beyond in (("a", "b"), ("b", "a")):
        face, weight, covers = weights[key]
        behind_face, _, behind_covers = weights[beyond]
        owns = (face >= 0) & ((behind_face < 0) | behind_covers)  # the other one continues underneath
        share = g * owns / (1 + (covers & behind_covers & (behind_face >= 0)))
        move = share[:, None] * torch.nan_to_num(weight / weight.sum(-1, keepdim=True))
        ids = faces[face.clamp_min(0)].long()
        grad_v[..., axis].index_put_((a[0][:, None].expand_as(ids), ids), move, accumulate=True)


def _bary(corners: Tensor, pixel: tuple[Tensor, ...]) -> Tensor:
    """Screen-linear barycentrics `[N,3]` of pixel centres in triangles `[N,3,3]`."""
    x, y = pixel[2] + 0.5, pixel[1] + 0.5
    p = corners[..., :2] - torch.stack([x, y], -1)[:, None].to(corners)
    first, second = p.roll(-1, 1), p.roll(-2, 1)
    area = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return torch.nan_to_num(area / area.sum(-1, keepdim=True), nan=-1.0)
