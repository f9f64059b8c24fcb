"""The compiled rasterizer as torch operators: allocation of outputs, shapes for tracing, autograd.

The public functions in `headfit.raster.api` check their arguments; nothing here does.
"""

import torch
from torch import Tensor

from headfit.raster import _C


@torch.library.custom_op("headfit::rasterize", mutates_args=(), device_types="cpu")
def rasterize(v_pix: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    size = (v_pix.shape[0], height, width)
    index_img = torch.empty(size, dtype=torch.int32)
    bary, depth = v_pix.new_empty((*size, 3)), v_pix.new_empty(size)
    _C.rasterize(plain(v_pix), plain(faces), index_img, bary, depth, torch.get_num_threads())
    return index_img, bary, depth


@rasterize.register_fake
def _(v_pix: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    size = (v_pix.shape[0], height, width)
    return v_pix.new_empty(size, dtype=torch.int32), v_pix.new_empty((*size, 3)), v_pix.new_empty(size)


@torch.library.custom_op("headfit::rasterize_backward", mutates_args=(), device_types="cpu")
def rasterize_backward(
    v_pix: Tensor, faces: Tensor, index_img: Tensor, grad_bary: Tensor, grad_depth: Tensor
) -> Tensor:
    grad_v = torch.empty_like(v_pix, memory_format=torch.contiguous_format)
    _C.rasterize_backward(
        plain(v_pix),
        plain(faces),
        plain(index_img),
        plain(grad_bary),
        plain(grad_depth),
        grad_v,
        torch.get_num_threads(),
    )
    return grad_v


@rasterize_backward.register_fake
def _(v_pix: Tensor, faces: Tensor, index_img: Tensor, grad_bary: Tensor, grad_depth: Tensor) -> Tensor:
    return torch.empty_like(v_pix, memory_format=torch.contiguous_format)


def _rasterize_setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    v_pix, faces, _, _ = inputs
    index_img = output[0]
    ctx.mark_non_differentiable(index_img)
    ctx.save_for_backward(v_pix, faces, index_img)


def _rasterize_vjp(ctx, _, grad_bary, grad_depth):  # type: ignore[no-untyped-def]
    return rasterize_backward(*ctx.saved_tensors, grad_bary, grad_depth), None, None, None


rasterize.register_autograd(_rasterize_vjp, setup_context=_rasterize_setup)


@torch.library.custom_op("headfit::interpolate", mutates_args=(), device_types="cpu")
def interpolate(attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor) -> Tensor:
    image = attributes.new_empty((*index_img.shape, attributes.shape[2]))
    _C.interpolate(plain(attributes), plain(faces), plain(index_img), plain(bary), image, torch.get_num_threads())
    return image


@interpolate.register_fake
def _(attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor) -> Tensor:
    return attributes.new_empty((*index_img.shape, attributes.shape[2]))


@torch.library.custom_op("headfit::interpolate_backward", mutates_args=(), device_types="cpu")
def interpolate_backward(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    needs_attributes: bool,
    needs_bary: bool,
) -> tuple[Tensor, Tensor]:
    grad_attributes, grad_bary = interpolate_grads(attributes, bary, needs_attributes, needs_bary)
    _C.interpolate_backward(
        plain(attributes),
        plain(faces),
        plain(index_img),
        plain(bary),
        plain(grad_image),
        grad_attributes if needs_attributes else None,
        grad_bary if needs_bary else None,
        torch.get_num_threads(),
    )
    return grad_attributes, grad_bary


@interpolate_backward.register_fake
def _(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    needs_attributes: bool,
    needs_bary: bool,
) -> tuple[Tensor, Tensor]:
    return interpolate_grads(attributes, bary, needs_attributes, needs_bary)


def interpolate_grads(
    attributes: Tensor, bary: Tensor, needs_attributes: bool, needs_bary: bool
) -> tuple[Tensor, Tensor]:
    """Memory for both gradients; nothing for one that nobody asked for (an operator cannot return None)."""
    return (
        attributes.new_empty(attributes.shape if needs_attributes else (0,)),
        bary.new_empty(bary.shape if needs_bary else (0,)),
    )


def _interpolate_setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _interpolate_vjp(ctx, grad_image):  # type: ignore[no-untyped-def]
    needs_attributes, _, _, needs_bary = ctx.needs_input_grad
    grad_attributes, grad_bary = interpolate_backward(*ctx.saved_tensors, grad_image, needs_attributes, needs_bary)
    return grad_attributes if needs_attributes else None, None, None, grad_bary if needs_bary else None


interpolate.register_autograd(_interpolate_vjp, setup_context=_interpolate_setup)


@torch.library.custom_op("headfit::edge_grad_backward", mutates_args=(), device_types="cpu")
def edge_grad_backward(
    grad_image: Tensor,
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
) -> Tensor:
    grad_v = torch.empty_like(v_pix, memory_format=torch.contiguous_format)
    _C.edge_grad_backward(
        plain(grad_image),
        plain(image),
        plain(v_pix),
        plain(faces),
        plain(adjacency),
        plain(group),
        plain(index_img),
        grad_v,
        torch.get_num_threads(),
    )
    return grad_v


@edge_grad_backward.register_fake
def _(
    grad_image: Tensor,
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
) -> Tensor:
    return torch.empty_like(v_pix, memory_format=torch.contiguous_format)


class EdgeGrad(torch.autograd.Function):
    """The image, as it is; its gradient also goes to the vertices.

    Not a custom operator, since those may not return their input, and a copy of every rendered image just to
    hang a gradient on it is dear.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        image: Tensor,
        v_pix: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        group: Tensor,
        index_img: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(image, v_pix, faces, adjacency, group, index_img)
        return image.view_as(image)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_image: Tensor):  # type: ignore[no-untyped-def]
        grad_v = edge_grad_backward(grad_image, *ctx.saved_tensors) if ctx.needs_input_grad[1] else None
        return grad_image, grad_v, None, None, None, None


@torch.library.custom_op("headfit::pixel_loss_backward", mutates_args=(), device_types="cpu")
def pixel_loss_backward(
    grad_loss: Tensor,
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    penalty: int,
    scale: float,
) -> Tensor:
    grad_v = torch.empty_like(v_pix, memory_format=torch.contiguous_format)
    _C.pixel_loss_backward(
        penalty,
        scale,
        plain(grad_loss),
        plain(image),
        plain(target),
        plain(v_pix),
        plain(faces),
        plain(adjacency),
        plain(group),
        plain(index_img),
        grad_v,
        torch.get_num_threads(),
    )
    return grad_v


@pixel_loss_backward.register_fake
def _(
    grad_loss: Tensor,
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    penalty: int,
    scale: float,
) -> Tensor:
    return torch.empty_like(v_pix, memory_format=torch.contiguous_format)


class PixelLossEdges(torch.autograd.Function):
    """A loss per pixel, as it is; its gradient also goes to the vertices. Image and target only say what it is of."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        loss: Tensor,
        image: Tensor,
        target: Tensor,
        v_pix: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        group: Tensor,
        index_img: Tensor,
        penalty: int,
        scale: float,
    ) -> Tensor:
        ctx.save_for_backward(image, target, v_pix, faces, adjacency, group, index_img)
        ctx.penalty, ctx.scale = penalty, scale
        return loss.view_as(loss)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_loss: Tensor):  # type: ignore[no-untyped-def]
        grad_v = None
        if ctx.needs_input_grad[3]:
            grad_v = pixel_loss_backward(grad_loss, *ctx.saved_tensors, ctx.penalty, ctx.scale)
        return grad_loss, None, None, grad_v, None, None, None, None, None, None


def plain(x: Tensor) -> Tensor:
    """What DLPack takes: no autograd, no strides, no conjugate or negative bit."""
    return x.detach().contiguous()
