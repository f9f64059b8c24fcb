"""Where an operator runs: on threads of the CPU, or in torch's current CUDA stream.

Both backends have the same functions (`_C.pyi`). On a GPU they use memory from torch's allocator and never wait for
the GPU; `torch.use_deterministic_algorithms(True)` makes gradients bit-identical from run to run, at twice their cost.
On the CPU they always are.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.raster import _C

#: The device types that this build works on.
DEVICES = ("cpu", "cuda") if hasattr(_C, "cuda") else ("cpu",)


#: Numbers of glibc's malloc.h.
MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_THRESHOLD, MALLOPT_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Has glibc keep the memory of freed images for the next step instead of returning it to the system.

    It would unmap blocks above 32 MiB at once, and a step would spend up to half of its time on fresh, zeroed pages.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MALLOPT_MMAP_THRESHOLD, 2**30)
        libc.mallopt(MALLOPT_TRIM_THRESHOLD, 2**31 - 1)
        # One arena for all threads: in those of their own, blocks above 64 MiB would be mapped afresh each time.
        libc.mallopt(MALLOPT_ARENA_MAX, 1)


def is_asynchronous(device: torch.device) -> bool:
    """Whether a device computes while the program goes on: then reading a number from it waits for all its work, and so
    does any operation whose result has a size that depends on values."""
    return device.type != "cpu"


@dataclass(frozen=True)
class Backend:
    """The functions to call, and their last argument: a number of threads, or the handle of a CUDA stream."""

    kernels: type[_C.Kernels]
    queue: int
    device: torch.device

    def workspace(self, size: int) -> Tensor:
        """Memory of `size` bytes."""
        return torch.empty(size, dtype=torch.uint8, device=self.device)

    def sum_workspace(self, grad: Tensor) -> Tensor:
        """Memory for sums into `grad`: none, unless they have to be deterministic."""
        deterministic = torch.are_deterministic_algorithms_enabled()
        return self.workspace(self.kernels.deterministic_bytes(grad.numel()) if deterministic else 0)


@contextmanager
def backend_of(x: Tensor) -> Iterator[Backend]:
    """The backend for the device of `x`, which is made the current one."""
    if x.device.type == "cpu":
        yield Backend(_C.cpu, torch.get_num_threads(), x.device)
    else:
        with torch.cuda.device(x.device):
            yield Backend(_C.cuda, torch.cuda.current_stream(x.device).cuda_stream, x.device)
