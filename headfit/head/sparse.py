"""Products of a constant sparse matrix with dense vertices, differentiable in the vertices."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn


class SparseMatrix(nn.Module):
    """A constant matrix `[M,N]` that multiplies vertices `[B,N,C]`, mostly C = 3.

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

    def _arrays(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns, values = (getattr(self, f"_{name}_{part}") for part in ("rows", "columns", "values"))
        return rows, columns, values

    @property
    def matrix(self) -> Tensor:
        """The matrix as a sparse CSR tensor."""
        return _csr(*self._arrays("forward"), self.shape)

    def forward(self, vertices: Tensor) -> Tensor:
        """The product `[B,M,C]` with vertices `[B,N,C]`, in the vertices' dtype."""
        batch, count, channels = vertices.shape
        columns = vertices.transpose(0, 1).reshape(count, batch * channels)
        product: Tensor = sparse_product(*self._arrays("forward"), *self._arrays("backward"), columns)
        return product.reshape(self.shape[0], batch, channels).transpose(0, 1)

    def times_wide(self, table: Tensor) -> Tensor:
        """The product `[M,D]` with a table `[N,D]`: for wide tables twice as fast as the product of a sparse tensor."""
        rows, columns, values = self._arrays("forward")
        return torch.nn.functional.embedding_bag(
            columns, table, rows, mode="sum", per_sample_weights=values, include_last_offset=True
        )


# An operator of its own: torch traces no CSR tensors, and has no fake ones on a GPU.
@torch.library.custom_op("headfit::sparse_product", mutates_args=())
def sparse_product(
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    transposed_rows: Tensor,
    transposed_columns: Tensor,
    transposed_values: Tensor,
    dense: Tensor,
) -> Tensor:
    """The product `[M,C]` of a CSR matrix `[M,N]` and `dense [N,C]`, in the type of `dense`; differentiable in `dense`
    by the matrix's transpose, also CSR."""
    size = (len(rows) - 1, len(transposed_rows) - 1)
    return _csr(rows, columns, values, size).to(dense.dtype) @ dense


@sparse_product.register_fake
def _(
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    transposed_rows: Tensor,
    transposed_columns: Tensor,
    transposed_values: Tensor,
    dense: Tensor,
) -> Tensor:
    return dense.new_empty(len(rows) - 1, dense.shape[1])


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:6])


def _vjp(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    matrix, transposed = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    return *[None] * 6, sparse_product(*transposed, *matrix, grad.contiguous())


sparse_product.register_autograd(_vjp, setup_context=_setup)


def _csr(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.sparse_csr_tensor(rows, columns, values, size=size, check_invariants=False)


with warnings.catch_warnings():  # not thread-safe: so torch gives its warning, at the first CSR tensor, here
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    _csr(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))
