"""Free vertex offsets, parameterised so that gradient steps are smooth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from headfit.head.sparse import SparseMatrix
from headfit.raster import backend
from headfit.raster.topology import Cache, once

#: Most free vertices for which the inverse is a dense matrix on a GPU: a quarter of a gigabyte.
MAX_DENSE = 8192
#: Columns of an inverse that are solved for together.
COLUMNS = 64


def cage_laplacian(faces: np.ndarray, vertex_count: int) -> sp.csr_matrix:
    """Uniform graph Laplacian D - W `[V,V]` of the edges of `faces [F,3]`."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    ones = np.ones(len(edges))
    w = sp.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(vertex_count, vertex_count))
    w = w + w.T
    return (sp.diags(np.asarray(w.sum(1)).ravel()) - w).tocsr()


class _Solve(torch.autograd.Function):
    """x = A^-1 b for a factorised symmetric matrix A; the gradient with respect to b is the same solve."""

    @staticmethod
    def forward(ctx, b: Tensor, solver) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.solver = solver
        return _solve(b, solver)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        return _solve(grad, ctx.solver), None


def _solve(b: Tensor, solver: spl.SuperLU) -> Tensor:
    x = solver.solve(b.detach().cpu().numpy().astype(np.float64))
    return torch.as_tensor(x, dtype=b.dtype, device=b.device)


def block_of_inverse(system: sp.csr_matrix, chosen: np.ndarray) -> np.ndarray:
    """Rows and columns `chosen [N]` of the inverse of a sparse symmetric `system [V,V]`: `[N,N]` float32.

    Two seconds for a head of 4,500 free vertices. Only the connected components that hold chosen vertices are solved.
    """
    of_vertex = connected_components(system, directed=False)[1]
    part = np.flatnonzero(np.isin(of_vertex, of_vertex[chosen]))
    place = np.searchsorted(part, chosen)
    solver = _factorised(system[part][:, part])
    inverse = np.empty((len(chosen), len(chosen)), np.float32)
    for first in range(0, len(chosen), COLUMNS):
        columns = np.zeros((len(part), len(place[first : first + COLUMNS])))
        columns[place[first : first + COLUMNS], np.arange(columns.shape[1])] = 1.0
        inverse[:, first : first + COLUMNS] = solver.solve(columns)[place]
    return inverse


def _factorised(system: sp.csr_matrix) -> spl.SuperLU:
    return spl.splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})


class SmoothOffsets(nn.Module):
    """Maps a free field u `[Vc,3]` to offsets (M + smoothness L)^-1 M u `[Vc,3]`, both in metres.

    L is the cage's graph Laplacian. A step of u moves whole neighbourhoods instead of single vertices ("Large Steps in
    Inverse Rendering of Geometry", Nicolet et al. 2021), yet any offsets can be represented. M is diagonal: small where
    the head model is stiff, so that such regions follow their neighbours, and 0 on rigid parts.

    Args:
        cage_faces: `[F,3]`.
        stiffness: `[Vc]` relative resistance of the vertices to offsets.
        rigid: bool `[Vc]`: the vertex belongs to a rigid part and has no offset.
        smoothness: weight of the Laplacian.
    """

    def __init__(self, cage_faces: Tensor, stiffness: Tensor, rigid: Tensor, smoothness: float) -> None:
        super().__init__()
        vertex_count = len(stiffness)
        laplacian = cage_laplacian(cage_faces.cpu().numpy(), vertex_count)
        mobility = np.where(rigid.cpu().numpy(), 0.0, 1.0 / stiffness.cpu().numpy().astype(np.float64))
        self._system = (sp.diags(np.maximum(mobility, 1e-6)) + smoothness * laplacian).tocsr()
        self._solver = _factorised(self._system)
        self._inverse: Tensor | None = None
        self._solved: Cache[Tensor] = {}
        self.register_buffer("free_vertices", torch.as_tensor(np.flatnonzero(mobility)), persistent=False)
        self.register_buffer("mobility", torch.as_tensor(mobility, dtype=torch.float32)[:, None], persistent=False)
        self.laplacian = SparseMatrix(laplacian)
        self.register_buffer("free", torch.as_tensor(mobility > 0)[:, None], persistent=False)
        self.register_buffer("stiffness", stiffness.detach().to(torch.float32)[:, None], persistent=False)

    mobility: Tensor
    free_vertices: Tensor
    free: Tensor
    stiffness: Tensor

    def forward(self, field: Tensor) -> Tensor:
        """Offsets `[Vc,3]` (metres) of a field `[Vc,3]`.

        The solver runs on the CPU. So that nothing waits for a GPU, the inverse is a dense matrix there; but not for a
        head with more than `MAX_DENSE` free vertices.
        """
        if backend.is_asynchronous(field.device) and len(self.free_vertices) <= MAX_DENSE:
            right = (self.mobility * field).index_select(0, self.free_vertices)
            return torch.zeros_like(field).index_copy(0, self.free_vertices, self._inverse_on(field) @ right)
        if not (field.requires_grad and torch.is_grad_enabled()):  # such as a known person's: always the same
            return once(field, self._solved, self._solve)
        return self._solve(field)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> SmoothOffsets:
        """Move to another device or dtype, where what was solved for on the old one is of no use."""
        self._solved.clear()
        return super()._apply(fn, recurse)

    def _solve(self, field: Tensor) -> Tensor:
        return torch.where(self.free, _Solve.apply(self.mobility * field, self._solver), 0.0)

    def _inverse_on(self, like: Tensor) -> Tensor:
        """The inverse between free vertices `[N,N]`, on the device of `like`; made when it is first needed there."""
        if self._inverse is None or self._inverse.device != like.device:
            block = block_of_inverse(self._system, self.free_vertices.cpu().numpy())
            self._inverse = torch.from_numpy(block).to(like.device)
        return self._inverse.to(like.dtype)

    def bending(self, offsets: Tensor) -> Tensor:
        """Bending energy of `offsets [Vc,3]`: mean squared Laplacian (metres^2), weighted by the model's stiffness."""
        bend = self.laplacian(offsets[None])[0]
        return (self.stiffness * self.free * bend.square()).sum(1).mean()
