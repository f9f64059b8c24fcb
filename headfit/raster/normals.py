"""Area-weighted vertex normals: `vertex_normals`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headfit.raster import backend
from headfit.raster.api import check_device, single
from headfit.raster.backend import DEVICES
from headfit.raster.ops import plain


class OppositeEdges(nn.Module):
    """For each vertex of a triangle mesh, the edges opposite it in the faces around it.

    A module without parameters, whose tensors are buffers that `state_dict` leaves out: as a submodule, it moves with
    `.to(device)`.

    Args:
        faces: `[F,3]` integer vertex indices.
        vertex_count: V.

    Attributes:
        first: `[V+1]` int32; the edges opposite vertex v are rows `first[v]` to `first[v + 1] - 1` of `edges`.
        edges: `[3F,2]` int32, the two vertices that follow v around a face, in their order. A face that uses a vertex
            twice has two edges in its list.

    Raises:
        ValueError: faces is not an `[F,3]` integer tensor, or a face refers to a vertex that does not exist.
    """

    first: Tensor
    edges: Tensor

    def __init__(self, faces: Tensor, vertex_count: int) -> None:
        super().__init__()
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.is_floating_point():
            raise ValueError(f"faces: expected integers [F,3], got {faces.dtype} {list(faces.shape)}")
        f = faces.detach().cpu().numpy().astype(np.int64)
        if f.size and not 0 <= f.min() <= f.max() < vertex_count:
            raise ValueError(f"faces: refer to vertices {f.min()} to {f.max()}, but there are {vertex_count} vertices")
        order = np.argsort(f.ravel(), kind="stable")
        edges = f[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)[order]
        first = np.searchsorted(f.ravel()[order], np.arange(vertex_count + 1))
        for name, value in (("first", first), ("edges", edges)):
            self.register_buffer(name, torch.from_numpy(value.astype(np.int32)).to(faces.device), persistent=False)


def vertex_normals(vertices: Tensor, opposite: OppositeEdges) -> Tensor:
    """Unit normals of vertices: the directions of the sums of their faces' cross products, so weighted by area.

    Args:
        vertices: `[B,V,3]` float32 or float64.
        opposite: the mesh's edges opposite its vertices.

    Returns:
        `[B,V,3]`, differentiable; 0, without gradient, at a vertex where the sum is shorter than 1e-12 (twice an area).

    Raises:
        ValueError: shape, type or device do not fit.
    """
    vertices = single(vertices)
    count = len(opposite.first) - 1
    if vertices.ndim != 3 or vertices.shape[1:] != (count, 3):
        raise ValueError(f"vertices: expected [B,{count},3], got {list(vertices.shape)}")
    if vertices.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"vertices: expected float32 or float64, got {vertices.dtype}")
    check_device(vertices, opposite=opposite.edges)
    return normals_of(vertices, opposite.first, opposite.edges)[0]


@torch.library.custom_op("headfit::vertex_normals", mutates_args=(), device_types=DEVICES)
def normals_of(vertices: Tensor, first: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """The normals `[B,V,3]`, and the lengths `[B,V]` of the sums of which they are the directions."""
    normals, lengths = _outputs(vertices)
    with backend.backend_of(vertices) as b:
        b.kernels.vertex_normals(plain(vertices), plain(first), plain(edges), normals, lengths, b.workspace(0), b.queue)
    return normals, lengths


@normals_of.register_fake
def _(vertices: Tensor, first: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    return _outputs(vertices)


def _outputs(vertices: Tensor) -> tuple[Tensor, Tensor]:
    return vertices.new_empty(vertices.shape), vertices.new_empty(vertices.shape[:2])


@torch.library.custom_op("headfit::vertex_normals_backward", mutates_args=(), device_types=DEVICES)
def normals_backward(
    vertices: Tensor, first: Tensor, edges: Tensor, normals: Tensor, lengths: Tensor, grad: Tensor
) -> Tensor:
    """The gradient of vertices `[B,V,3]` from that of their normals."""
    grad_vertices, grad_sums = vertices.new_empty(vertices.shape), vertices.new_empty(vertices.shape)
    inputs = plain(vertices), plain(first), plain(edges), plain(normals), plain(lengths), plain(grad)
    with backend.backend_of(vertices) as b:
        b.kernels.vertex_normals_backward(*inputs, grad_sums, grad_vertices, b.workspace(0), b.queue)
    return grad_vertices


@normals_backward.register_fake
def _(vertices: Tensor, first: Tensor, edges: Tensor, normals: Tensor, lengths: Tensor, grad: Tensor) -> Tensor:
    return vertices.new_empty(vertices.shape)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    normals, lengths = output
    ctx.mark_non_differentiable(lengths)
    ctx.save_for_backward(*inputs, normals, lengths)


def _vjp(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
    return normals_backward(*ctx.saved_tensors, grad), None, None


normals_of.register_autograd(_vjp, setup_context=_setup)
