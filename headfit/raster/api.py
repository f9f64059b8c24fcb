"""The differentiable rasterizer: `rasterize`, `interpolate`, `edge_grad`, `pixel_loss`.

Coordinates: a vertex of `v_pix` is (x, y, z): x and y in pixels from the image's top-left corner (the centre of the
pixel in row i and column j is (j + 1/2, i + 1/2)), z the depth in camera units, positive in front of the camera. Up to
the camera matrix, a vertex is the point (x z, y z, z), so a vertex behind the camera is projected like any other, by
dividing by its (negative) depth. Surface nearer than the depth `NEAR` is clipped away; faces with a vertex that is NaN,
infinite, or at z = 0 are not drawn.

Gradients: `bary` and `depth` are differentiable at fixed visibility; `edge_grad` adds the gradient of changes in
visibility. float16 and bfloat16 inputs are converted, and results are float32. A render looks like this:

    index_img, bary, depth = rasterize(v_pix, faces, (H, W))
    image = shade(interpolate(attributes, faces, index_img, bary))      # background=photo: in front of a picture
    image = edge_grad(image, v_pix, faces, index_img)

`edge_grad` knows only the gradient of the loss, which is exact for squared losses of the image. For a robust loss per
pixel, use `pixel_loss(image, target, v_pix, faces, index_img, kind="charbonnier", scale=0.02)` instead.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from headfit.raster import ops
from headfit.raster.backend import DEVICES
from headfit.raster.topology import Topology, check_vertex_ids


def rasterize(v_pix: Tensor, faces: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the nearest face at every pixel centre.

    A pixel centre on an edge belongs to the face of which it is a top or left edge; of faces at equal depth, the one
    with the lowest index is visible.

    Args:
        v_pix: `[B,V,3]` float32 or float64, projected vertices.
        faces: `[F,3]` int32 vertex indices; both sides are visible.
        size: (H, W) in pixels.

    Returns:
        index_img `[B,H,W]` int32: the visible face, -1 for background.
        bary `[B,H,W,3]`: perspective-correct barycentrics, 0 on background; differentiable.
        depth `[B,H,W]`: z of the visible point in camera units, 0 on background; differentiable.

    Raises:
        ValueError: a shape, type, device or size is wrong, or a face refers to a vertex that does not exist.
    """
    v_pix = single(v_pix)
    _check_v_pix(v_pix)
    _check_faces(faces, v_pix)
    height, width = (int(n) for n in size)
    if height < 0 or width < 0:
        raise ValueError(f"size: expected (height, width) >= 0, got {(height, width)}")
    return ops.rasterize(v_pix, faces, height, width)


def interpolate(
    attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, background: Tensor | None = None
) -> Tensor:
    """Interpolates vertex attributes over the visible faces, in front of a background.

    Args:
        attributes: `[B,V,C]`, or `[V,C]` for all images; type as bary.
        faces: `[F,3]` int32 rows of attributes; may differ from the faces that were rasterized (for example, indices of
            UV vertices) as long as the faces correspond.
        index_img: `[B,H,W]` int32, from `rasterize`.
        bary: `[B,H,W,3]`, from `rasterize`.
        background: `[B,H,W,C]`, the values where no face is visible; type as bary. Default: 0. Costs less than a
            `torch.where` of the result.

    Returns:
        `[B,H,W,C]`; differentiable with respect to attributes, bary and background.

    Raises:
        ValueError: shapes, types or devices do not fit, or an index is out of range.
    """
    attributes, bary = single(attributes), single(bary)
    check_index_img(index_img)
    if attributes.ndim not in (2, 3):
        raise ValueError(f"attributes: expected [B,V,C] or [V,C], got {list(attributes.shape)}")
    _check_faces(faces, attributes)
    if bary.shape != (*index_img.shape, 3):
        raise ValueError(f"bary: expected {[*index_img.shape, 3]}, as index_img, got {list(bary.shape)}")
    if attributes.ndim == 2:
        attributes = attributes[None]
    elif attributes.shape[0] != index_img.shape[0]:
        raise ValueError(f"attributes: batch {attributes.shape[0]}, but index_img has {index_img.shape[0]}")
    if attributes.dtype != bary.dtype or attributes.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"attributes, bary: expected both float32 or float64, got {attributes.dtype}, {bary.dtype}")
    check_device(attributes, faces=faces, index_img=index_img, bary=bary)
    if background is not None:
        background = single(background)
        expected = (*index_img.shape, attributes.shape[2])
        if background.shape != expected or background.dtype != bary.dtype:
            raise ValueError(
                f"background: expected {bary.dtype} {list(expected)}, got {background.dtype} {list(background.shape)}"
            )
        check_device(attributes, background=background)
    return ops.interpolate(attributes, faces, index_img, bary, background)


def edge_grad(
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    group: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """Returns the image; in the backward pass, its jumps give a gradient to the vertices whose edges cause them.

    For each pair of neighbouring pixels that see different faces, walks over the mesh from one centre to the other to
    find what is between: one continuous surface (no gradient), a silhouette or fold (its edge gets the gradient, what
    is behind gets exactly 0), an intersection of two surfaces, or a border between groups. Method: "Rasterized Edge
    Gradients", Pidhorskyi et al., ECCV 2024; csrc/core and docs/rasterizer.md derive the refinements.

    Exact up to sampling for squared losses of the image, even if it is blurred or supersampled first; for other losses,
    see `pixel_loss`.

    Args:
        image: `[B,H,W,C]`, anything computed per pixel from this rasterization; C may be 0.
        v_pix: `[B,V,3]` projected vertices, type as image.
        faces: `[F,3]` int32, as rasterized.
        index_img: `[B,H,W]` int32, from `rasterize`.
        group: `[F]` integers; the image may jump where a surface changes its group (label, material, UV chart).
            Default: `topology.components`, so there are no such jumps.
        topology: of these faces. Default: `Topology.of(faces)`, built once per faces tensor.

    Returns:
        image, unchanged, carrying the gradient with respect to v_pix.

    Raises:
        ValueError: shapes, types or devices do not fit, or an index is out of range.
    """
    image, v_pix = single(image), single(v_pix)
    group, topology = _check_edges(image, v_pix, faces, index_img, group, topology)
    return ops.EdgeGrad.apply(image, image.detach(), None, v_pix, faces, topology.adjacency, group, index_img)


PixelLossKind = Literal["squared", "charbonnier", "huber", "l1", "cross_entropy"]


def pixel_loss(
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    kind: PixelLossKind,
    scale: float | None = None,
    group: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """Returns a loss per pixel; in the backward pass, the image's jumps give a gradient to the vertices causing them.

    Like `edge_grad`, for losses that are not squares: for these, the effect of a moving boundary does not follow from
    the loss gradient and is computed from the loss itself (docs/rasterizer.md lists the errors of both ways). Use it
    instead of `edge_grad`, not after it. The result may be weighted, masked and summed freely: the derivation only
    needs the total loss to be linear in it.

    Args:
        image: `[B,H,W,C]`, anything computed per pixel from this rasterization.
        target: `[B,H,W,C]`, what the image is compared with; gets no gradient.
        v_pix: as for `edge_grad`, like faces, index_img, group and topology.
        kind: the penalty, a sum over channels; with d = image - target,
            squared: d^2; charbonnier: sqrt(d^2 + scale^2) - scale; l1: |d|;
            huber: d^2 / 2 up to |d| = scale, then scale (|d| - scale / 2);
            cross_entropy: -target log_softmax(image), where target holds the probabilities of C classes.
        scale: for charbonnier and huber, in units of the image, > 0.

    Returns:
        `[B,H,W]`, differentiable with respect to image and v_pix.

    Raises:
        ValueError: shapes, types or devices do not fit, an index is out of range, or scale is missing.
    """
    image, target, v_pix = single(image), single(target), single(v_pix)
    _check_target(target, image)
    _check_kind(kind, scale)
    loss = loss_of_pixels(image, target.detach(), kind, scale or 0.0)
    return edges_of_loss(
        loss, image, target, v_pix, faces, index_img, kind=kind, scale=scale, group=group, topology=topology
    )


def edges_of_loss(
    loss: Tensor,
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    *,
    kind: PixelLossKind,
    scale: float | None = None,
    group: Tensor | None = None,
    topology: Topology | None = None,
) -> Tensor:
    """Returns `loss`; in the backward pass, the jumps of `image` give a gradient to the vertices causing them.

    The part of `pixel_loss` that moves edges, for an image that has values where the loss is weighted with 0.

    Args:
        loss: `[B,H,W]`, `loss_of_pixels` wherever it gets a gradient.
        image: as for `pixel_loss`, like the other arguments; gets no gradient.
        target: `[B,H,W,C]`.
        v_pix: `[B,V,3]`.
        faces: `[F,3]`.
        index_img: `[B,H,W]`.
        kind: the penalty.
        scale: for charbonnier and huber.
        group: `[F]`.
        topology: of these faces.

    Returns:
        loss, unchanged, carrying the gradient with respect to v_pix.

    Raises:
        ValueError: as `pixel_loss`, or loss does not fit image.
    """
    image, target, v_pix = single(image), single(target), single(v_pix)
    group, topology = _check_edges(image, v_pix, faces, index_img, group, topology)
    _check_target(target, image)
    _check_kind(kind, scale)
    if loss.shape != image.shape[:3] or loss.dtype != image.dtype:
        raise ValueError(
            f"loss: expected {image.dtype} {list(image.shape[:3])}, as image, got {loss.dtype} {list(loss.shape)}"
        )
    check_device(image, loss=loss)
    return ops.EdgeGrad.apply(
        loss,
        image.detach(),
        target.detach(),
        v_pix,
        faces,
        topology.adjacency,
        group,
        index_img,
        kind,
        scale or 0.0,
    )


def loss_of_pixels(image: Tensor, target: Tensor, kind: PixelLossKind, scale: float) -> Tensor:
    """The values `[...]` of `pixel_loss`, without its edge gradient; image and target `[...,C]`."""
    if kind == "cross_entropy":
        return -(target * image.log_softmax(-1)).sum(-1)
    if kind == "squared":
        return torch.nn.functional.mse_loss(image, target, reduction="none").sum(-1)
    if kind == "charbonnier":  # sqrt(d^2 + scale^2) - scale
        return (torch.hypot(image - target, image.new_full((), scale)) - scale).sum(-1)
    if kind == "huber":
        return torch.nn.functional.huber_loss(image, target, reduction="none", delta=scale).sum(-1)
    return (image - target).abs().sum(-1)


@torch.no_grad()
def skipped_faces(v_pix: Tensor, faces: Tensor) -> Tensor:
    """The number `[B]` int64 of faces that `rasterize` does not draw because a vertex is NaN, infinite, or at z = 0.

    Args:
        v_pix: `[B,V,3]` projected vertices.
        faces: `[F,3]` int32.
    """
    usable = v_pix.isfinite().all(-1) & (v_pix[..., 2] != 0)
    return (~usable[:, faces.long()]).any(-1).sum(-1)


def _check_target(target: Tensor, image: Tensor) -> None:
    if target.shape != image.shape or target.dtype != image.dtype:
        raise ValueError(
            f"target: expected {image.dtype} {list(image.shape)}, as image, got {target.dtype} {list(target.shape)}"
        )
    check_device(image, target=target)


def _check_kind(kind: str, scale: float | None) -> None:
    if kind not in get_args(PixelLossKind):
        raise ValueError(f"kind: expected one of {', '.join(get_args(PixelLossKind))}, got {kind!r}")
    if kind in ("charbonnier", "huber") and not (scale is not None and scale > 0):
        raise ValueError(f"scale: {kind} needs one above 0, in units of the image, got {scale}")


def _check_edges(
    image: Tensor, v_pix: Tensor, faces: Tensor, index_img: Tensor, group: Tensor | None, topology: Topology | None
) -> tuple[Tensor, Topology]:
    """Checks the arguments of `edge_grad`; returns group as int32, and topology, with their defaults filled in."""
    check_mesh(v_pix, faces, index_img)
    if image.ndim != 4 or image.shape[:3] != index_img.shape:
        raise ValueError(f"image: expected {[*index_img.shape, 'C']}, as index_img, got {list(image.shape)}")
    if image.dtype != v_pix.dtype:
        raise ValueError(f"image: expected {v_pix.dtype}, as v_pix, got {image.dtype}")
    topology = topology_of(faces, topology)
    if group is None:
        group = topology.components
    elif group.shape != (len(faces),) or group.is_floating_point():
        raise ValueError(f"group: expected {len(faces)} integers, got {group.dtype} {list(group.shape)}")
    group = group.to(torch.int32)
    check_device(image, v_pix=v_pix, faces=faces, index_img=index_img, group=group, topology=topology.adjacency)
    return group, topology


def topology_of(faces: Tensor, topology: Topology | None) -> Topology:
    """The given topology, checked, or that of the faces."""
    if topology is None:
        return Topology.of(faces)
    if topology.adjacency.shape != faces.shape:
        raise ValueError(f"topology: of {len(topology.adjacency)} faces, but there are {len(faces)}")
    return topology


def check_mesh(v_pix: Tensor, faces: Tensor, index_img: Tensor) -> None:
    """Checks a mesh and what is seen of it."""
    _check_v_pix(v_pix)
    _check_faces(faces, v_pix)
    check_index_img(index_img)
    if v_pix.shape[0] != index_img.shape[0]:
        raise ValueError(f"v_pix: batch {v_pix.shape[0]}, but index_img has {index_img.shape[0]}")


def single(x: Tensor) -> Tensor:
    """`x`, converted to float32 if it has half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_v_pix(v_pix: Tensor) -> None:
    if v_pix.ndim != 3 or v_pix.shape[2] != 3:
        raise ValueError(f"v_pix: expected [B,V,3], got {list(v_pix.shape)}")
    if v_pix.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"v_pix: expected float32 or float64, got {v_pix.dtype}")


def _check_faces(faces: Tensor, vertices: Tensor) -> None:
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype != torch.int32:
        raise ValueError(f"faces: expected int32 [F,3], got {faces.dtype} {list(faces.shape)}")
    check_device(vertices, faces=faces)
    if faces.device.type != "cpu":  # on the CPU, the operators check the values while they read them
        check_vertex_ids(faces, vertices.shape[-2])


def check_index_img(index_img: Tensor) -> None:
    if index_img.ndim != 3 or index_img.dtype != torch.int32:
        raise ValueError(f"index_img: expected int32 [B,H,W], got {index_img.dtype} {list(index_img.shape)}")


def check_device(first: Tensor, **others: Tensor) -> None:
    """Checks that all tensors are on one device, and that this build works there."""
    if first.device.type not in DEVICES:
        raise ValueError(
            f"this build of headfit.raster works on {' and '.join(DEVICES)}, got a tensor on {first.device}"
        )
    for name, other in others.items():
        if other.device != first.device:
            raise ValueError(f"{name}: expected on {first.device}, got {other.device}")
