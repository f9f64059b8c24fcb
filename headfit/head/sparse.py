"""A constant sparse matrix times dense vertices, differentiable in the vertices."""

from typing import Any

import torch
from torch import Tensor


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
    """`matrix` [M, N] sparse CSR times vertices [B, N, 3] -> [B, M, 3]; `transposed` is its transpose, also CSR.

    Torch differentiates a CSR product only through a dense or re-sorted transpose; giving it ready-made keeps the
    backward pass as cheap as the forward one.
    """
    batch, count, _ = vertices.shape
    columns = vertices.transpose(0, 1).reshape(count, batch * 3)
    product: Tensor = _Product.apply(columns, matrix, transposed)
    return product.reshape(-1, batch, 3).transpose(0, 1)
