"""Free vertex offsets, parameterised so that gradient steps are smooth."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from torch import Tensor, nn


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
        self.laplacian_scipy = cage_laplacian(cage_faces.cpu().numpy(), vertex_count)
        mobility = np.where(rigid.cpu().numpy(), 0.0, 1.0 / stiffness.cpu().numpy().astype(np.float64))
        system = sp.diags(np.maximum(mobility, 1e-6)) + smoothness * self.laplacian_scipy
        self._solver = spl.splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        self.register_buffer("mobility", torch.as_tensor(mobility, dtype=torch.float32)[:, None], persistent=False)
        coo = self.laplacian_scipy.tocoo()
        index = torch.as_tensor(np.stack([coo.row, coo.col]), dtype=torch.int64)
        values = torch.as_tensor(coo.data, dtype=torch.float32)
        laplacian = torch.sparse_coo_tensor(index, values, coo.shape, check_invariants=False).coalesce()
        self.register_buffer("laplacian", laplacian, persistent=False)
        self.register_buffer("free", torch.as_tensor(mobility > 0)[:, None], persistent=False)
        self.register_buffer("stiffness", stiffness.detach().to(torch.float32)[:, None], persistent=False)

    mobility: Tensor
    laplacian: Tensor
    free: Tensor
    stiffness: Tensor

    def forward(self, field: Tensor) -> Tensor:
        """Offsets `[Vc,3]` (metres) of a field `[Vc,3]`."""
        return torch.where(self.free, _Solve.apply(self.mobility * field, self._solver), 0.0)

    def bending(self, offsets: Tensor) -> Tensor:
        """Bending energy of `offsets [Vc,3]`: mean squared Laplacian (metres^2), weighted by the model's stiffness."""
        bend = torch.sparse.mm(self.laplacian, offsets)
        return (self.stiffness * self.free * bend.square()).sum(1).mean()
