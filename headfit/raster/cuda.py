"""The operators of `headfit.raster.ops` and `headfit.raster.texture` for tensors on a GPU.

Everything runs in torch's current stream, in memory of torch's allocator, and nothing waits for the GPU.
`torch.use_deterministic_algorithms(True)` makes gradients bit-identical from run to run, at twice their cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from headfit.raster import _C, ops

kernels: Any = getattr(_C, "cuda", None)  # None if built without CUDA


@contextmanager
def stream_of(x: Tensor) -> Iterator[int]:
    """Makes x's device the current one, and gives its current stream."""
    with torch.cuda.device(x.device):
        yield torch.cuda.current_stream(x.device).cuda_stream


def rasterize(v_pix: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    size = (v_pix.shape[0], height, width)
    index_img = v_pix.new_empty(size, dtype=torch.int32)
    bary, depth = v_pix.new_empty((*size, 3)), v_pix.new_empty(size)
    workspace = v_pix.new_empty(kernels.rasterize_bytes(*size), dtype=torch.uint8)
    with stream_of(v_pix) as stream:
        kernels.rasterize(ops.plain(v_pix), ops.plain(faces), workspace, index_img, bary, depth, stream)
    return index_img, bary, depth


def rasterize_backward(
    v_pix: Tensor, faces: Tensor, index_img: Tensor, grad_bary: Tensor, grad_depth: Tensor
) -> Tensor:
    grad_v = torch.empty_like(v_pix, memory_format=torch.contiguous_format)
    inputs = [ops.plain(x) for x in (v_pix, faces, index_img, grad_bary, grad_depth)]
    with stream_of(v_pix) as stream:
        kernels.rasterize_backward(*inputs, grad_v, _scratch(grad_v), stream)
    return grad_v


def interpolate(attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor) -> Tensor:
    image = attributes.new_empty((*index_img.shape, attributes.shape[2]))
    inputs = [ops.plain(x) for x in (attributes, faces, index_img, bary)]
    with stream_of(attributes) as stream:
        kernels.interpolate(*inputs, image, stream)
    return image


def interpolate_backward(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    needs_attributes: bool,
    needs_bary: bool,
) -> tuple[Tensor, Tensor]:
    grad_attributes, grad_bary = ops.interpolate_grads(attributes, bary, needs_attributes, needs_bary)
    inputs = [ops.plain(x) for x in (attributes, faces, index_img, bary, grad_image)]
    scratch = _scratch(grad_attributes) if needs_attributes else None
    with stream_of(attributes) as stream:
        kernels.interpolate_backward(
            *inputs,
            grad_attributes if needs_attributes else None,
            grad_bary if needs_bary else None,
            scratch,
            stream,
        )
    return grad_attributes, grad_bary


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
    inputs = [ops.plain(x) for x in (grad_image, image, v_pix, faces, adjacency, group, index_img)]
    with stream_of(v_pix) as stream:
        kernels.edge_grad_backward(*inputs, grad_v, _scratch(grad_v), stream)
    return grad_v


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
    inputs = [ops.plain(x) for x in (grad_loss, image, target, v_pix, faces, adjacency, group, index_img)]
    with stream_of(v_pix) as stream:
        kernels.pixel_loss_backward(penalty, scale, *inputs, grad_v, _scratch(grad_v), stream)
    return grad_v


def sample_pyramid(
    pyramid: Tensor,
    height: int,
    width: int,
    mips: int,
    uv_img: Tensor,
    index_img: Tensor,
    group: Tensor | None,
    faces: int,
) -> tuple[Tensor, Tensor]:
    image, level = pyramid.new_empty((*index_img.shape, pyramid.shape[2])), uv_img.new_empty(index_img.shape)
    group = None if group is None else ops.plain(group)
    with stream_of(pyramid) as stream:
        kernels.sample_texture(
            ops.plain(pyramid),
            height,
            width,
            mips,
            ops.plain(uv_img),
            ops.plain(index_img),
            group,
            faces,
            image,
            level,
            stream,
        )
    return image, level


def sample_pyramid_backward(
    pyramid: Tensor,
    height: int,
    width: int,
    mips: int,
    uv_img: Tensor,
    index_img: Tensor,
    level: Tensor,
    grad_image: Tensor,
    needs_texture: bool,
    needs_uv: bool,
) -> tuple[Tensor, Tensor]:
    grad_pyramid = pyramid.new_empty(pyramid.shape if needs_texture else (0,))
    grad_uv = uv_img.new_empty(uv_img.shape if needs_uv else (0,))
    inputs = [ops.plain(x) for x in (uv_img, level, grad_image)]
    scratch = _scratch(grad_pyramid) if needs_texture else None
    with stream_of(pyramid) as stream:
        kernels.sample_texture_backward(
            ops.plain(pyramid),
            height,
            width,
            mips,
            *inputs,
            grad_pyramid if needs_texture else None,
            grad_uv if needs_uv else None,
            scratch,
            stream,
        )
    return grad_pyramid, grad_uv


def register(operator: Any, kernel: Any) -> None:
    """Makes a function of this module the operator's kernel on CUDA tensors."""
    if kernels is not None:
        operator.register_kernel("cuda")(kernel)


def _scratch(grad: Tensor) -> Tensor | None:
    """Memory for sums whose order does not matter; None for fast ones."""
    if not torch.are_deterministic_algorithms_enabled():
        return None
    return grad.new_empty(kernels.deterministic_bytes(grad.numel()), dtype=torch.uint8)


for function in (
    rasterize,
    rasterize_backward,
    interpolate,
    interpolate_backward,
    edge_grad_backward,
    pixel_loss_backward,
):
    register(getattr(ops, function.__name__), function)
