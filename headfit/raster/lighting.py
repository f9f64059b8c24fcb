"""Colours of lit surface points: `shade_pixels`, and its light for lists of points in plain torch."""

from typing import Any

import torch
from torch import Tensor

from headfit.raster import backend
from headfit.raster._C import LEAST_SHADING
from headfit.raster.api import check_device, check_index_img, single
from headfit.raster.backend import DEVICES
from headfit.raster.ops import grad_if, plain

#: Number of real spherical harmonics up to degree 2.
SH_COUNT = 9


def sh_basis(normal: Tensor) -> Tensor:
    """`[...,9]` real spherical harmonics up to degree 2 (Ramamoorthi & Hanrahan 2001) of unit normals `[...,3]`, as
    polynomials; each scaled so that its largest value on the sphere is near 1, so one learning rate suits all
    coefficients."""
    x, y, z = normal.unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 1.5 * z * z - 0.5], dim=-1)


def shading(normal: Tensor, light: Tensor) -> Tensor:
    """Shading `[...,N,3]` of unit normals `[...,N,3]` by light `[...,9,3]`, at least `LEAST_SHADING`."""
    return (sh_basis(normal) @ light).clamp_min(LEAST_SHADING)


def shade_pixels(
    albedo: Tensor, surface: Tensor, light: Tensor, gain: Tensor, index_img: Tensor, still: Tensor | None = None
) -> Tensor:
    """The colours of lit surface points: (albedo * shading(normal, light) + gloss) * gain.

    Args:
        albedo: `[B,H,W,3]`, float32 or float64.
        surface: `[B,H,W,4]`: a normal of any length (that of `interpolate` is shorter than 1), and gloss.
        light: `[B,9,3]`, coefficients of `sh_basis` in each image.
        gain: `[B,3]`, factor of each image's colours.
        index_img: `[B,H,W]` int32; negative for pixels that are not shaded.
        still: bool `[B,H,W]`, pixels whose surface gets no gradient; the others' inputs keep theirs.

    Returns:
        `[B,H,W,3]`, 0 where nothing is shaded; differentiable with respect to albedo, surface, light and gain.

    Raises:
        ValueError: shapes, types or devices do not fit.
    """
    albedo, surface, light, gain = single(albedo), single(surface), single(light), single(gain)
    check_index_img(index_img)
    size, images = list(index_img.shape), len(index_img)
    expected: list[tuple[str, Tensor, list[int]]] = [
        ("albedo", albedo, [*size, 3]),
        ("surface", surface, [*size, 4]),
        ("light", light, [images, SH_COUNT, 3]),
        ("gain", gain, [images, 3]),
    ]
    for name, value, shape in expected:
        if list(value.shape) != shape:
            raise ValueError(f"{name}: expected {shape} for an index_img {size}, got {list(value.shape)}")
        if value.dtype != albedo.dtype or value.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name}: expected float32 or float64 like albedo ({albedo.dtype}), got {value.dtype}")
    if still is not None and (list(still.shape) != size or still.dtype != torch.bool):
        raise ValueError(f"still: expected bool {size}, as index_img, got {still.dtype} {list(still.shape)}")
    others = {} if still is None else {"still": still}
    check_device(albedo, surface=surface, light=light, gain=gain, index_img=index_img, **others)
    return shade(albedo, surface, light, gain, index_img, still)


@torch.library.custom_op("headfit::shade", mutates_args=(), device_types=DEVICES)
def shade(
    albedo: Tensor, surface: Tensor, light: Tensor, gain: Tensor, index_img: Tensor, still: Tensor | None
) -> Tensor:
    image = albedo.new_empty(albedo.shape)
    inputs = plain(albedo), plain(surface), plain(light), plain(gain), plain(index_img)
    with backend.backend_of(albedo) as b:
        b.kernels.shade(*inputs, image, b.workspace(0), b.queue)
    return image


@shade.register_fake
def _(albedo: Tensor, surface: Tensor, light: Tensor, gain: Tensor, index_img: Tensor, still: Tensor | None) -> Tensor:
    return albedo.new_empty(albedo.shape)


@torch.library.custom_op("headfit::shade_backward", mutates_args=(), device_types=DEVICES)
def shade_backward(
    albedo: Tensor,
    surface: Tensor,
    light: Tensor,
    gain: Tensor,
    index_img: Tensor,
    still: Tensor | None,
    grad_image: Tensor,
    needs_albedo: bool,
    needs_surface: bool,
    needs_sums: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of albedo and surface, and `[B,30]` those of light and gain; empty if not needed."""
    grad_albedo, grad_surface = grad_if(needs_albedo, albedo), grad_if(needs_surface, surface)
    inputs = plain(albedo), plain(surface), plain(light), plain(gain), plain(index_img)
    resting = None if still is None else plain(still)
    outputs = grad_albedo if needs_albedo else None, grad_surface if needs_surface else None
    with backend.backend_of(albedo) as b:
        parts = b.kernels.shade_sums(*index_img.shape[1:]) if needs_sums else 0
        sums = albedo.new_empty(len(albedo), SH_COUNT * 3 + 3, parts)
        b.kernels.shade_backward(
            *inputs, resting, plain(grad_image), *outputs, sums if needs_sums else None, b.workspace(0), b.queue
        )
    return grad_albedo, grad_surface, sums.sum(-1)


@shade_backward.register_fake
def _(
    albedo: Tensor,
    surface: Tensor,
    light: Tensor,
    gain: Tensor,
    index_img: Tensor,
    still: Tensor | None,
    grad_image: Tensor,
    needs_albedo: bool,
    needs_surface: bool,
    needs_sums: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    sums = albedo.new_empty(len(albedo), SH_COUNT * 3 + 3)
    return grad_if(needs_albedo, albedo), grad_if(needs_surface, surface), sums


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _vjp(ctx: Any, grad_image: Tensor) -> tuple[Tensor | None, ...]:
    needs = ctx.needs_input_grad
    albedo, surface, sums = shade_backward(*ctx.saved_tensors, grad_image, needs[0], needs[1], needs[2] or needs[3])
    light, gain = sums[:, : SH_COUNT * 3].unflatten(1, (SH_COUNT, 3)), sums[:, SH_COUNT * 3 :]
    grads = (albedo, surface, light, gain)
    return *(grad if needed else None for grad, needed in zip(grads, needs, strict=False)), None, None


shade.register_autograd(_vjp, setup_context=_setup)
