"""Textures with mip levels: `sample_texture`."""

from typing import Any

import torch
from torch import Tensor

from headfit.raster import backend
from headfit.raster.api import check_device, single
from headfit.raster.backend import DEVICES
from headfit.raster.ops import grad_if, plain


def sample_texture(
    texture: Tensor, uv_img: Tensor, index_img: Tensor, mips: int | None = None, *, group: Tensor | None = None
) -> Tensor:
    """The colours of a texture at the surface points seen by the pixels, averaged over each pixel's footprint.

    Trilinear filtering: the footprint is the distance on the texture to the neighbouring pixels' points (along each
    axis the nearer of the two neighbours, since the other may see another surface). Its longer side selects the mip
    level; each level holds the means of 2 x 2 texels of the level before (Williams, "Pyramidal parametrics", 1983). So
    a texture seen from a distance does not alias, and its gradient reaches all of its texels. Levels blur across the
    borders of UV charts: leave gutters between charts, and fill them with the charts' colours.

    Args:
        texture: `[Ht,Wt,C]`, or `[B,Ht,Wt,C]` for one per image, float32 or float64; row 0 is at v = 1.
        uv_img: `[B,H,W,2]`, from `interpolate`; u to the right, v up, [0,1] over the texture, clamped outside of it.
        index_img: `[B,H,W]` int32, from `rasterize`; -1 for background.
        mips: number of levels, 1 for plain bilinear sampling; both sides of the texture must be divisible by
            2^(mips - 1). Default: as many as possible.
        group: `[F]` integers, the UV chart of each face; footprints do not extend across charts.

    Returns:
        `[B,H,W,C]`, 0 on background; differentiable with respect to texture and uv_img, at fixed levels.

    Raises:
        ValueError: shapes, types or devices do not fit, mips is too large, or a face has no group.
    """
    if texture.ndim == 3:
        texture = texture[None]
    texture, uv_img = single(texture), single(uv_img)
    mips = _check(texture, uv_img, index_img, mips, group)
    height, width = texture.shape[1:3]
    if group is not None:
        group = group.to(torch.int32)
    faces = len(group) if group is not None else torch.iinfo(torch.int32).max
    return sample_pyramid(pyramid(texture, mips), height, width, mips, uv_img, index_img, group, faces)[0]


def pyramid(texture: Tensor, mips: int) -> Tensor:
    """The texels of all mip levels `[B,N,C]`, one level after the other, of a texture `[B,Ht,Wt,C]`."""
    levels = [texture]
    for _ in range(mips - 1):
        levels.append(levels[-1].unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean((2, 4)))
    return torch.cat([level.flatten(1, 2) for level in levels], 1)


def _check(texture: Tensor, uv_img: Tensor, index_img: Tensor, mips: int | None, group: Tensor | None) -> int:
    """Checks the arguments of `sample_texture`; returns the number of levels."""
    if texture.ndim != 4 or min(texture.shape[1:3]) == 0:
        raise ValueError(f"texture: expected [Ht,Wt,C] or [B,Ht,Wt,C] with texels, got {list(texture.shape)}")
    if index_img.ndim != 3 or index_img.dtype != torch.int32:
        raise ValueError(f"index_img: expected int32 [B,H,W], got {index_img.dtype} {list(index_img.shape)}")
    if uv_img.shape != (*index_img.shape, 2):
        raise ValueError(f"uv_img: expected {[*index_img.shape, 2]}, as index_img, got {list(uv_img.shape)}")
    if texture.dtype != uv_img.dtype or texture.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"texture, uv_img: expected both float32 or float64, got {texture.dtype}, {uv_img.dtype}")
    if len(texture) not in (1, len(index_img)):
        raise ValueError(f"texture: batch {len(texture)}, but index_img has {len(index_img)}")
    if group is not None and (group.ndim != 1 or group.is_floating_point()):
        raise ValueError(f"group: expected integers [F], got {group.dtype} {list(group.shape)}")
    check_device(texture, uv_img=uv_img, index_img=index_img, **({} if group is None else {"group": group}))
    height, width = texture.shape[1:3]
    max_mips = 1
    while height % 2**max_mips == 0 and width % 2**max_mips == 0:
        max_mips += 1
    if mips is not None and not 1 <= mips <= max_mips:
        raise ValueError(f"mips: a texture of {height} x {width} texels can have 1 to {max_mips} levels, got {mips}")
    return max_mips if mips is None else mips


@torch.library.custom_op("headfit::sample_texture", mutates_args=(), device_types=DEVICES)
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
    """The image `[B,H,W,C]`, and the mip level `[B,H,W]` at which each pixel was sampled, -1 on background."""
    image, level = pyramid.new_empty((*index_img.shape, pyramid.shape[2])), uv_img.new_empty(index_img.shape)
    inputs = plain(uv_img), plain(index_img), None if group is None else plain(group)
    with backend.backend_of(pyramid) as b:
        b.kernels.sample_texture(
            plain(pyramid), height, width, mips, *inputs, faces, image, level, b.workspace(0), b.queue
        )
    return image, level


@sample_pyramid.register_fake
def _(
    pyramid: Tensor,
    height: int,
    width: int,
    mips: int,
    uv_img: Tensor,
    index_img: Tensor,
    group: Tensor | None,
    faces: int,
) -> tuple[Tensor, Tensor]:
    return pyramid.new_empty((*index_img.shape, pyramid.shape[2])), uv_img.new_empty(index_img.shape)


@torch.library.custom_op("headfit::sample_texture_backward", mutates_args=(), device_types=DEVICES)
def sample_pyramid_backward(
    pyramid: Tensor,
    height: int,
    width: int,
    mips: int,
    uv_img: Tensor,
    level: Tensor,
    grad_image: Tensor,
    needs_texture: bool,
    needs_uv: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients of pyramid and uv_img at fixed levels; empty if not needed."""
    grad_pyramid, grad_uv = grad_if(needs_texture, pyramid), grad_if(needs_uv, uv_img)
    inputs = plain(uv_img), plain(level), plain(grad_image)
    outputs = grad_pyramid if needs_texture else None, grad_uv if needs_uv else None
    with backend.backend_of(pyramid) as b:
        workspace = b.sum_workspace(grad_pyramid)
        b.kernels.sample_texture_backward(plain(pyramid), height, width, mips, *inputs, *outputs, workspace, b.queue)
    return grad_pyramid, grad_uv


@sample_pyramid_backward.register_fake
def _(
    pyramid: Tensor,
    height: int,
    width: int,
    mips: int,
    uv_img: Tensor,
    level: Tensor,
    grad_image: Tensor,
    needs_texture: bool,
    needs_uv: bool,
) -> tuple[Tensor, Tensor]:
    return grad_if(needs_texture, pyramid), grad_if(needs_uv, uv_img)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    pyramid, ctx.height, ctx.width, ctx.mips, uv_img, _, _, _ = inputs
    level = output[1]
    ctx.mark_non_differentiable(level)
    ctx.save_for_backward(pyramid, uv_img, level)


def _vjp(ctx: Any, grad_image: Tensor, _: None) -> tuple[Tensor | None, ...]:
    pyramid, uv_img, level = ctx.saved_tensors
    needs_texture, needs_uv = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
    grad_pyramid, grad_uv = sample_pyramid_backward(
        pyramid, ctx.height, ctx.width, ctx.mips, uv_img, level, grad_image, needs_texture, needs_uv
    )
    none = None, None, None
    return grad_pyramid if needs_texture else None, *none, grad_uv if needs_uv else None, *none


sample_pyramid.register_autograd(_vjp, setup_context=_setup)
