"""Fake tensors on `cuda:0`, which have shapes and a device but no values, on a machine without a GPU.

Computing with them shows that no size depends on a value, since there is none, and that nothing is on another device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from headfit.fitting.model import FittedHead
from headfit.fitting.smooth_offsets import SmoothOffsets

#: Places of device types in torch's table (c10/core/DeviceType.h).
CUDA, META = 1, 14
TABLE, TABLE_SIZE = "_ZN3c104impl26device_guard_impl_registryE", 22


@contextmanager
def fake_tensors(device: str) -> Iterator[None]:
    """Every tensor that is made is fake, and `headfit.raster` works on `device`, as the step does on a GPU."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch("torch.cuda._lazy_init"))
        stack.enter_context(mock.patch("headfit.raster.api.DEVICES", ("cpu", "cuda")))
        stack.enter_context(mock.patch("headfit.raster.api.check_vertex_ids"))  # reads each mesh once in a fit
        stack.enter_context(mock.patch("headfit.raster.backend.is_asynchronous", lambda device: True))
        stack.enter_context(_device_without_driver() if device != "cpu" else ExitStack())
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield


@contextmanager
def faked(model: FittedHead, device: str, requires_grad: bool) -> Iterator[None]:
    """All tensors of a model are fake ones; inside of `fake_tensors`."""
    with ExitStack() as stack:
        for module in model.modules():
            parameters = {
                name: nn.Parameter(torch.empty_like(value, device=device), requires_grad=requires_grad)
                for name, value in module._parameters.items()
            }
            buffers = {name: torch.empty_like(value, device=device) for name, value in module._buffers.items()}
            stack.enter_context(mock.patch.dict(module._parameters, parameters))
            stack.enter_context(mock.patch.dict(module._buffers, buffers))
            if isinstance(module, SmoothOffsets):
                count = len(module.free_vertices)
                inverse = torch.empty(count, count, device=device)
                stack.enter_context(mock.patch.object(module, "_inverse", inverse))
        yield


@contextmanager
def _device_without_driver() -> Iterator[None]:
    """Indexing asks torch to make its device current. A build without CUDA cannot; the one of `meta` does nothing."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    table = (ctypes.c_void_p * TABLE_SIZE).in_dll(library, TABLE)
    before = table[CUDA]
    table[CUDA] = before or table[META]
    try:
        yield
    finally:
        table[CUDA] = before
