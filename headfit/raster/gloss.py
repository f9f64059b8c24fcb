"""What vertices mirror of their surroundings: `mirrored_gloss`."""

from typing import Any

import torch
from torch import Tensor

from headfit.raster import backend
from headfit.raster._C import GLOSS_PART
from headfit.raster.api import check_device
from headfit.raster.backend import DEVICES
from headfit.raster.ops import plain


def mirrored_gloss(vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor) -> Tensor:
    """The gloss of vertices: the quadratic form h(m)' form h(m) of the nine harmonics h (`sh_basis`) in the direction m
    that a vertex mirrors into the camera.

    Args:
        vertices: `[B,V,3]` float32 or float64, world.
        normals: `[B,V,3]` unit normals, world.
        centres: `[B,3]` optical centres of the cameras, world.
        forms: `[K,9,9]`, one for each kind of surface; only their symmetric parts count.
        kind: `[V]` int32, the form of each vertex; -1 for one without gloss.

    Returns:
        `[B,V]`, 0 without gloss; differentiable with respect to vertices, normals, centres and forms.

    Raises:
        ValueError: shapes, types or devices do not fit.
    """
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"vertices: expected floats [B,V,3], got {vertices.dtype} {list(vertices.shape)}")
    batch, count = vertices.shape[:2]
    for name, value, shape in (
        ("normals", normals, (batch, count, 3)),
        ("centres", centres, (batch, 3)),
        ("forms", forms, (len(forms), 9, 9)),
    ):
        if value.shape != shape or value.dtype != vertices.dtype:
            raise ValueError(f"{name}: expected {vertices.dtype} {list(shape)}, got {value.dtype} {list(value.shape)}")
    if kind.shape != (count,) or kind.dtype != torch.int32:
        raise ValueError(f"kind: expected int32 [{count}], got {kind.dtype} {list(kind.shape)}")
    check_device(vertices, normals=normals, centres=centres, forms=forms, kind=kind)
    return gloss_of(vertices, normals, centres, (forms + forms.mT) / 2, kind)


@torch.library.custom_op("headfit::gloss", mutates_args=(), device_types=DEVICES)
def gloss_of(vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor) -> Tensor:
    """The gloss `[B,V]` of vertices; forms must be symmetric."""
    out = vertices.new_empty(vertices.shape[:2])
    inputs = plain(vertices), plain(normals), plain(centres), plain(forms), plain(kind)
    with backend.backend_of(vertices) as b:
        b.kernels.gloss(*inputs, out, b.workspace(0), b.queue)
    return out


@gloss_of.register_fake
def _(vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor) -> Tensor:
    return vertices.new_empty(vertices.shape[:2])


@torch.library.custom_op("headfit::gloss_backward", mutates_args=(), device_types=DEVICES)
def gloss_backward(
    vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of vertices, normals and, to be added up over its first axis, forms `[parts,K,9,9]`."""
    out = _gradients(vertices, forms)
    inputs = plain(vertices), plain(normals), plain(centres), plain(forms), plain(kind), plain(grad)
    with backend.backend_of(vertices) as b:
        b.kernels.gloss_backward(*inputs, *out, b.workspace(0), b.queue)
    return out


@gloss_backward.register_fake
def _(
    vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return _gradients(vertices, forms)


def _gradients(vertices: Tensor, forms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the gradients."""
    parts = vertices.shape[0] * -(-vertices.shape[1] // GLOSS_PART)
    shape = vertices.shape
    return vertices.new_empty(shape), vertices.new_empty(shape), vertices.new_empty((parts, *forms.shape))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _vjp(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    of_vertices, of_normals, of_forms = gloss_backward(*ctx.saved_tensors, grad)
    of_centres = -of_vertices.sum(1) if ctx.needs_input_grad[2] else None
    return of_vertices, of_normals, of_centres, of_forms.sum(0), None


gloss_of.register_autograd(_vjp, setup_context=_setup)
