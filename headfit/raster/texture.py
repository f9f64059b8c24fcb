"""Textures with mip levels: `sample_texture`."""

import torch
from torch import Tensor

from headfit.raster import _C, cuda
from headfit.raster.api import check_device, single
from headfit.raster.ops import plain


def sample_texture(
    texture: Tensor, uv_img: Tensor, index_img: Tensor, mips: int | None = None, *, group: Tensor | None = None
) -> Tensor:
    """Colours of a texture at the points that the pixels see, averaged over each pixel's footprint.

    Trilinear: the footprint is how far on the texture the neighbouring pixels' points are (along each axis the nearer
    of the two neighbours, the other one may see another surface), and its longer side chooses between levels, each the
    mean of 2 x 2 texels of the one before (Williams, "Pyramidal parametrics", 1983). So a texture that is seen from
    afar does not shimmer, and its gradient reaches all its texels. Levels blur across the borders of charts: leave
    space between charts, and fill it with their colours.

    Args:
        texture: [Ht,Wt,C], or [B,Ht,Wt,C] for one per image, float32 or float64; row 0 is at v = 1.
        uv_img: [B,H,W,2], from `interpolate`; u right, v up, [0,1] from outline to outline; beyond it the outermost
            texels go on.
        index_img: [B,H,W] int32, from `rasterize`; -1 for background.
        mips: number of levels, 1 for plain bilinear sampling; both sides must be divisible by 2^(mips - 1).
            Default: as many as that allows.
        group: [F] integers, the chart of each face: pixels on different charts are no neighbours on the texture.

    Returns:
        [B,H,W,C], 0 on background; differentiable with respect to texture and uv_img, at fixed levels.

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
    """[B,Ht,Wt,C] -> the texels of all levels [B,N,C], one level after the other."""
    levels = [texture]
    for _ in range(mips - 1):
        levels.append(levels[-1].unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean((2, 4)))
    return torch.cat([level.flatten(1, 2) for level in levels], 1)


def _check(texture: Tensor, uv_img: Tensor, index_img: Tensor, mips: int | None, group: Tensor | None) -> int:
    """The number of levels."""
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
    most = 1
    while height % 2**most == 0 and width % 2**most == 0:
        most += 1
    if mips is not None and not 1 <= mips <= most:
        raise ValueError(f"mips: a texture of {height} x {width} texels can have 1 to {most} levels, got {mips}")
    return most if mips is None else mips


@torch.library.custom_op("headfit::sample_texture", mutates_args=(), device_types="cpu")
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
    """The image [B,H,W,C], and the level [B,H,W] that each pixel was sampled at, -1 on background."""
    image, level = pyramid.new_empty((*index_img.shape, pyramid.shape[2])), uv_img.new_empty(index_img.shape)
    _C.sample_texture(
        plain(pyramid),
        height,
        width,
        mips,
        plain(uv_img),
        plain(index_img),
        None if group is None else plain(group),
        faces,
        image,
        level,
        torch.get_num_threads(),
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


@torch.library.custom_op("headfit::sample_texture_backward", mutates_args=(), device_types="cpu")
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
    """Gradients of pyramid and uv_img; empty where nobody asked."""
    grad_pyramid = pyramid.new_empty(pyramid.shape if needs_texture else (0,))
    grad_uv = uv_img.new_empty(uv_img.shape if needs_uv else (0,))
    _C.sample_texture_backward(
        plain(pyramid),
        height,
        width,
        mips,
        plain(uv_img),
        plain(index_img),
        plain(level),
        plain(grad_image),
        grad_pyramid if needs_texture else None,
        grad_uv if needs_uv else None,
        torch.get_num_threads(),
    )
    return grad_pyramid, grad_uv


@sample_pyramid_backward.register_fake
def _(
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
    return grad_pyramid, uv_img.new_empty(uv_img.shape if needs_uv else (0,))


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    pyramid, ctx.height, ctx.width, ctx.mips, uv_img, index_img, _, _ = inputs
    level = output[1]
    ctx.mark_non_differentiable(level)
    ctx.save_for_backward(pyramid, uv_img, index_img, level)


def _vjp(ctx, grad_image, _):  # type: ignore[no-untyped-def]
    pyramid, uv_img, index_img, level = ctx.saved_tensors
    needs_texture, needs_uv = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
    grad_pyramid, grad_uv = sample_pyramid_backward(
        pyramid, ctx.height, ctx.width, ctx.mips, uv_img, index_img, level, grad_image, needs_texture, needs_uv
    )
    none = None, None, None
    return grad_pyramid if needs_texture else None, *none, grad_uv if needs_uv else None, *none


sample_pyramid.register_autograd(_vjp, setup_context=_setup)
cuda.register(sample_pyramid, cuda.sample_pyramid)
cuda.register(sample_pyramid_backward, cuda.sample_pyramid_backward)
