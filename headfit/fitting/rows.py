"""Rows of tables with one row per frame: their gradient is that of the rows alone, so a step costs the same for any
number of frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headfit.raster import backend

#: Tables of more bytes than these are in a temporary file, of which the system keeps in memory what is used.
MAX_IN_MEMORY = 4 << 20


def zeros(size: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """A table of zeros `[F,...]`; a large one is mapped to a temporary file (in TMPDIR) without a name."""
    count = int(np.prod(size)) * dtype.itemsize
    if count <= MAX_IN_MEMORY:
        return torch.zeros(tuple(size), dtype=dtype)
    with TemporaryFile(prefix="headfit-") as file:
        os.posix_fallocate(file.fileno(), 0, count)  # a full disk is an error here, not a crash later
        return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=(count,))).view(dtype).view(tuple(size))


def copy_of(table: Tensor) -> Tensor:
    """A copy without gradient on the same device; of a large table on the CPU in a temporary file, see `zeros`."""
    table = table.detach()
    return zeros(table.shape, table.dtype).copy_(table) if table.device.type == "cpu" else table.clone()


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, frames: Tensor) -> Tensor:
        ctx.save_for_backward(frames)
        ctx.size = table.shape
        return table.index_select(0, frames)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        (frames,) = ctx.saved_tensors
        # Cloned: of a single row the stride is arbitrary, and torch's sparse tensors take it for the row's length.
        values = gradient[0].clone(memory_format=torch.contiguous_format)
        return torch.sparse_coo_tensor(frames[None], values, ctx.size, check_invariants=False), None


def rows_of(table: Tensor, frames: Tensor) -> Tensor:
    """The rows `[N,...]` of frames `[N]`: `table[frames]` with a sparse gradient.

    On a GPU the gradient is torch's own, as large as the table and most of it zeros: how many rows a sparse one has is
    known only after waiting for the device.
    """
    if backend.is_asynchronous(table.device):
        return table[frames]
    rows: Tensor = _Rows.apply(table, frames)
    return rows


def moved_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows a sparse gradient has, `[N]` ascending, each once; and theirs, `[N,...]`."""
    values = gradient._values()
    rows, place = gradient._indices()[0].unique(return_inverse=True)
    return rows, values.new_zeros(len(rows), *values.shape[1:]).index_add_(0, place, values)


def dense(gradient: Tensor) -> Tensor:
    """A gradient of rows as that of the whole table."""
    if not gradient.is_sparse:
        return gradient
    return gradient.new_zeros(gradient.shape, layout=torch.strided).index_add_(
        0, gradient._indices()[0], gradient._values()
    )
