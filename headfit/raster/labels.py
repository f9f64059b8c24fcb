"""Labels against masks: `label_loss`."""

from typing import Any

import torch
from torch import Tensor

from headfit.raster import backend
from headfit.raster.api import check_device, check_mesh, single, topology_of
from headfit.raster.backend import DEVICES
from headfit.raster.ops import grad_of, plain
from headfit.raster.topology import Topology


def label_loss(
    shares: Tensor,
    class_weight: Tensor,
    class_of_face: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    shown_as: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """The squared difference of the classes that a mesh shows from those of masks, per pixel; in the backward pass, the
    borders between classes give a gradient to the vertices that move them.

    The same as `pixel_loss` of kind "squared" with one-hot images of the classes, grouped by class, but without such
    images (and without extrapolation, since a class is constant up to its border). The result may be weighted, masked
    and summed freely.

    Args:
        shares: `[B,H,W,C]` uint8, 255 times each class's share of a pixel; class 0 is background.
        class_weight: `[C]`, like v_pix, the factor of each class's squared difference; gets no gradient.
        class_of_face: `[F]` int32, the class of each face; where it is not in [0, C), the image is 0 in every class.
        v_pix: `[B,V,3]` projected vertices, float32 or float64.
        faces: `[F,3]` int32, as rasterized.
        index_img: `[B,H,W]` int32, from `rasterize`.
        shown_as: `[B,C]` int32, as which class each one is compared in each image, likewise; None: each as itself.
        topology: of these faces. Default: `Topology.of(faces)`.

    Returns:
        `[B,H,W]`, differentiable with respect to v_pix.

    Raises:
        ValueError: shapes, types or devices do not fit, or an index is out of range.
    """
    v_pix, class_weight = single(v_pix), single(class_weight)
    check_mesh(v_pix, faces, index_img)
    if shares.ndim != 4 or shares.shape[:3] != index_img.shape or shares.dtype != torch.uint8:
        raise ValueError(f"shares: expected uint8 {[*index_img.shape, 'C']}, got {shares.dtype} {list(shares.shape)}")
    images, classes = len(shares), shares.shape[3]
    for name, value, shape, dtype in (
        ("class_weight", class_weight, (classes,), v_pix.dtype),
        ("class_of_face", class_of_face, (len(faces),), torch.int32),
        ("shown_as", shown_as, (images, classes), torch.int32),
    ):
        if value is None:
            continue
        if value.shape != shape or value.dtype != dtype:
            raise ValueError(f"{name}: expected {dtype} {list(shape)}, got {value.dtype} {list(value.shape)}")
        check_device(v_pix, **{name: value})
    topology = topology_of(faces, topology)
    check_device(v_pix, shares=shares, faces=faces, index_img=index_img, topology=topology.adjacency)
    return label_loss_of(shares, class_weight, class_of_face, shown_as, v_pix, faces, topology.adjacency, index_img)


@torch.library.custom_op("headfit::label_loss", mutates_args=(), device_types=DEVICES)
def label_loss_of(
    shares: Tensor,
    class_weight: Tensor,
    class_of_face: Tensor,
    shown_as: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    index_img: Tensor,
) -> Tensor:
    """The loss `[B,H,W]`."""
    loss = v_pix.new_empty(index_img.shape)
    labels = plain(shares), plain(class_weight), plain(class_of_face), None if shown_as is None else plain(shown_as)
    with backend.backend_of(v_pix) as b:
        b.kernels.label_loss(*labels, plain(index_img), loss, b.workspace(0), b.queue)
    return loss


@label_loss_of.register_fake
def _(
    shares: Tensor,
    class_weight: Tensor,
    class_of_face: Tensor,
    shown_as: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    index_img: Tensor,
) -> Tensor:
    return v_pix.new_empty(index_img.shape)


@torch.library.custom_op("headfit::label_loss_backward", mutates_args=(), device_types=DEVICES)
def label_loss_backward(
    grad: Tensor,
    shares: Tensor,
    class_weight: Tensor,
    class_of_face: Tensor,
    shown_as: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    index_img: Tensor,
) -> Tensor:
    """The gradient of v_pix, given that of the loss."""
    grad_v = grad_of(v_pix)
    labels = plain(shares), plain(class_weight), plain(class_of_face), None if shown_as is None else plain(shown_as)
    scene = plain(v_pix), plain(faces), plain(adjacency), plain(index_img)
    with backend.backend_of(v_pix) as b:
        b.kernels.label_loss_backward(plain(grad), *labels, *scene, grad_v, b.sum_workspace(grad_v), b.queue)
    return grad_v


@label_loss_backward.register_fake
def _(
    grad: Tensor,
    shares: Tensor,
    class_weight: Tensor,
    class_of_face: Tensor,
    shown_as: Tensor | None,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    index_img: Tensor,
) -> Tensor:
    return grad_of(v_pix)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _vjp(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grad_v = label_loss_backward(grad, *ctx.saved_tensors) if ctx.needs_input_grad[4] else None
    return None, None, None, None, grad_v, None, None, None


label_loss_of.register_autograd(_vjp, setup_context=_setup)
