"""The compiled rasterizer as torch operators: allocation of outputs, shapes for tracing, autograd.

The public functions in `headfit.raster.api` check their arguments; nothing here does.
"""

from typing import Any

import torch
from torch import Tensor

from headfit.raster import backend
from headfit.raster.backend import DEVICES


@torch.library.custom_op("headfit::rasterize", mutates_args=(), device_types=DEVICES)
def rasterize(v_pix: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    size = (v_pix.shape[0], height, width)
    index_img, bary, depth = _raster_of(v_pix, size)
    with backend.backend_of(v_pix) as b:
        workspace = b.workspace(b.kernels.rasterize_bytes(*size))
        b.kernels.rasterize(plain(v_pix), plain(faces), index_img, bary, depth, workspace, b.queue)
    return index_img, bary, depth


@rasterize.register_fake
def _(v_pix: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    return _raster_of(v_pix, (v_pix.shape[0], height, width))


def _raster_of(v_pix: Tensor, size: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for index_img, bary and depth."""
    return v_pix.new_empty(size, dtype=torch.int32), v_pix.new_empty((*size, 3)), v_pix.new_empty(size)


@torch.library.custom_op("headfit::rasterize_backward", mutates_args=(), device_types=DEVICES)
def rasterize_backward(
    v_pix: Tensor, faces: Tensor, index_img: Tensor, grad_bary: Tensor, grad_depth: Tensor
) -> Tensor:
    grad_v = grad_of(v_pix)
    inputs = plain(v_pix), plain(faces), plain(index_img), plain(grad_bary), plain(grad_depth)
    with backend.backend_of(v_pix) as b:
        b.kernels.rasterize_backward(*inputs, grad_v, b.sum_workspace(grad_v), b.queue)
    return grad_v


@rasterize_backward.register_fake
def _(v_pix: Tensor, faces: Tensor, index_img: Tensor, grad_bary: Tensor, grad_depth: Tensor) -> Tensor:
    return grad_of(v_pix)


def _rasterize_setup(ctx: Any, inputs: Any, output: Any) -> None:
    v_pix, faces, _, _ = inputs
    index_img = output[0]
    ctx.mark_non_differentiable(index_img)
    ctx.save_for_backward(v_pix, faces, index_img)


def _rasterize_vjp(ctx: Any, _: None, grad_bary: Tensor, grad_depth: Tensor) -> tuple[Tensor | None, ...]:
    return rasterize_backward(*ctx.saved_tensors, grad_bary, grad_depth), None, None, None


rasterize.register_autograd(_rasterize_vjp, setup_context=_rasterize_setup)


@torch.library.custom_op("headfit::interpolate", mutates_args=(), device_types=DEVICES)
def interpolate(
    attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, background: Tensor | None
) -> Tensor:
    image = attributes.new_empty((*index_img.shape, attributes.shape[2]))
    inputs = plain(attributes), plain(faces), plain(index_img), plain(bary)
    behind = None if background is None else plain(background)
    with backend.backend_of(attributes) as b:
        b.kernels.interpolate(*inputs, image, b.workspace(0), b.queue, behind)
    return image


@interpolate.register_fake
def _(attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, background: Tensor | None) -> Tensor:
    return attributes.new_empty((*index_img.shape, attributes.shape[2]))


@torch.library.custom_op("headfit::interpolate_backward", mutates_args=(), device_types=DEVICES)
def interpolate_backward(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    needs_attributes: bool,
    needs_bary: bool,
    needs_background: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of attributes, bary and background; empty if not needed."""
    grad_attributes, grad_bary = grad_if(needs_attributes, attributes), grad_if(needs_bary, bary)
    grad_background = grad_if(needs_background, grad_image)
    inputs = plain(attributes), plain(faces), plain(index_img), plain(bary), plain(grad_image)
    outputs = grad_attributes if needs_attributes else None, grad_bary if needs_bary else None
    behind = grad_background if needs_background else None
    with backend.backend_of(attributes) as b:
        b.kernels.interpolate_backward(*inputs, *outputs, b.sum_workspace(grad_attributes), b.queue, behind)
    return grad_attributes, grad_bary, grad_background


@interpolate_backward.register_fake
def _(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    needs_attributes: bool,
    needs_bary: bool,
    needs_background: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    return grad_if(needs_attributes, attributes), grad_if(needs_bary, bary), grad_if(needs_background, grad_image)


def _interpolate_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:4])  # the values of the background are not needed


def _interpolate_vjp(ctx: Any, grad_image: Tensor) -> tuple[Tensor | None, ...]:
    needs = [ctx.needs_input_grad[i] for i in (0, 3, 4)]
    grads = interpolate_backward(*ctx.saved_tensors, grad_image, *needs)
    attributes, bary, background = (grad if needed else None for grad, needed in zip(grads, needs, strict=True))
    return attributes, None, None, bary, background


interpolate.register_autograd(_interpolate_vjp, setup_context=_interpolate_setup)


@torch.library.custom_op("headfit::edge_grad_backward", mutates_args=(), device_types=DEVICES)
def edge_grad_backward(
    grad: Tensor,
    image: Tensor,
    target: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    penalty: str = "",
    scale: float = 0.0,
) -> Tensor:
    """What the image's jumps add to the gradient of v_pix.

    Without a target, grad `[B,H,W,C]` is the gradient of the loss with respect to image. With one, the loss is a sum
    over pixels of penalty(image, target), one of `_C.PENALTIES`, and grad `[B,H,W]` its gradient with respect to them.
    """
    grad_v = grad_of(v_pix)
    grad = grad if target is None else grad[..., None]
    colours = plain(grad), plain(image), None if target is None else plain(target)
    scene = plain(v_pix), plain(faces), plain(adjacency), plain(group), plain(index_img)
    with backend.backend_of(v_pix) as b:
        b.kernels.edge_grad_backward(*colours, penalty, scale, *scene, grad_v, b.sum_workspace(grad_v), b.queue)
    return grad_v


@edge_grad_backward.register_fake
def _(
    grad: Tensor,
    image: Tensor,
    target: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    penalty: str = "",
    scale: float = 0.0,
) -> Tensor:
    return grad_of(v_pix)


class EdgeGrad(torch.autograd.Function):
    """Returns its first argument, an image or a loss per pixel, unchanged; the gradient also flows to the vertices.

    Not a custom operator: those must not return their input, and copying every rendered image only to attach a gradient
    would be expensive. The other arguments are those of `edge_grad_backward`.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        values: Tensor,
        image: Tensor,
        target: Tensor | None,
        v_pix: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        group: Tensor,
        index_img: Tensor,
        penalty: str = "",
        scale: float = 0.0,
    ) -> Tensor:
        ctx.save_for_backward(image, target, v_pix, faces, adjacency, group, index_img)
        ctx.penalty, ctx.scale = penalty, scale
        return values.view_as(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        grad_v = None
        if ctx.needs_input_grad[3]:
            grad_v = edge_grad_backward(grad, *ctx.saved_tensors, ctx.penalty, ctx.scale)
        return grad, None, None, grad_v, *[None] * (len(ctx.needs_input_grad) - 4)


def grad_of(v_pix: Tensor) -> Tensor:
    """Memory for the gradient of `v_pix`."""
    return torch.empty_like(v_pix, memory_format=torch.contiguous_format)


def grad_if(needed: bool, x: Tensor) -> Tensor:
    """Memory for the gradient of `x`; an empty tensor if it is not needed, since an operator cannot return None."""
    return x.new_empty(x.shape if needed else (0,))


def plain(x: Tensor) -> Tensor:
    """`x` as DLPack takes it: detached, contiguous, and without a conjugate or negative bit."""
    return x.detach().contiguous()
