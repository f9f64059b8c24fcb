"""Products of a constant sparse matrix with dense vertices, differentiable in the vertices."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn


class SparseMatrix(nn.Module):
    """A constant matrix `[M,N]` that multiplies vertices `[B,N,3]`.

    Torch differentiates a CSR product only through a dense or re-sorted transpose; storing the transpose makes the
    backward pass as cheap as the forward pass. Both are stored as their three arrays rather than as sparse tensors, so
    that .to(), broadcasting and deep copies treat them like any buffer; they are not part of a checkpoint.
    """

    def __init__(self, matrix: sp.spmatrix) -> None:
        super().__init__()
        self.shape: tuple[int, int] = matrix.shape
        for name, part in (("forward", matrix.tocsr()), ("backward", matrix.T.tocsr())):
            self.register_buffer(f"_{name}_rows", torch.from_numpy(part.indptr.astype(np.int64)), persistent=False)
            self.register_buffer(f"_{name}_columns", torch.from_numpy(part.indices.astype(np.int64)), persistent=False)
            self.register_buffer(f"_{name}_values", torch.from_numpy(part.data.astype(np.float32)), persistent=False)

    def _csr(self, name: str, size: tuple[int, int]) -> Tensor:
        rows, columns, values = (getattr(self, f"_{name}_{part}") for part in ("rows", "columns", "values"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(rows, columns, values, size=size, check_invariants=False)

    @property
    def matrix(self) -> Tensor:
        """The matrix as a sparse CSR tensor."""
        return self._csr("forward", self.shape)

    def forward(self, vertices: Tensor) -> Tensor:
        """The product `[B,M,3]` with vertices `[B,N,3]`, in the vertices' dtype."""
        transposed = self._csr("backward", self.shape[::-1])
        return apply_to_vertices(self.matrix.to(vertices.dtype), transposed.to(vertices.dtype), vertices)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (transposed,) = ctx.saved_tensors
        return transposed @ grad.contiguous(), None, None


def apply_to_vertices(matrix: Tensor, transposed: Tensor, vertices: Tensor) -> Tensor:
    """The product `[B,M,3]` of a sparse CSR `matrix [M,N]` and `vertices [B,N,3]`; `transposed [N,M]` is its transpose,
    also CSR."""
    batch, count, _ = vertices.shape
    columns = vertices.transpose(0, 1).reshape(count, batch * 3)
    product: Tensor = _Product.apply(columns, matrix, transposed)
    return product.reshape(-1, batch, 3).transpose(0, 1)
