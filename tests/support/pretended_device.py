"""A pretended GPU: tensors that say they are on `cuda:0`, compute real values on the CPU, and behave as CUDA tensors do
where a program could go wrong.

    with pretended_device() as device:
        model.to("cuda")
        ...
    device.waits  # what would have waited for the GPU, by place

Inside the context, tensors made with `device="cuda"` or moved there are `DeviceTensor`s. An operation that mixes them
with CPU tensors raises, except where CUDA allows it: scalars (0-dimensional tensors), indices, and `copy_`. So does
`.numpy()`, and in deterministic mode whatever has no deterministic CUDA kernel. Operators of `headfit.raster` run their
CPU kernels, so a program gives bit for bit what it gives on the CPU, unless it takes another path for CUDA.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda:0")
SOURCE = str(Path(__file__).parents[2] / "headfit")
aten = torch.ops.aten

#: Raise in deterministic mode on CUDA: the list of `torch.use_deterministic_algorithms`, as far as a fit could meet it.
REFUSED = {
    aten._adaptive_avg_pool2d_backward,
    aten.grid_sampler_2d_backward,
    aten.upsample_bilinear2d_backward,
    aten.upsample_linear1d_backward,
    aten.upsample_bicubic2d_backward,
    aten.reflection_pad2d_backward,
    aten.replication_pad2d_backward,
    aten.nll_loss_forward,
    aten.histc,
    aten.kthvalue,
    aten.put_,
    aten.put,
}
#: Raise for floating-point numbers only.
REFUSED_FOR_FLOATS = {aten.cumsum, aten.cumsum_}
#: Need a number from the device before the program goes on.
WAITS = {
    aten._local_scalar_dense,
    aten.nonzero,
    aten._unique2,
    aten.unique_dim,
    aten.unique_consecutive,
    aten.masked_select,
    aten.bincount,
    aten.equal,
    aten._linalg_check_errors,
}
#: Take CPU indices with CUDA tensors.
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class DeviceTensor(Tensor):
    """A tensor on the pretended device; `values` is the CPU tensor with its values."""

    values: Tensor
    device = DEVICE  # type: ignore[assignment]
    is_cuda = True  # type: ignore[assignment]
    is_cpu = False  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, values: Tensor) -> DeviceTensor:
        # C++ sees a CPU tensor, so no part of torch asks for a driver.
        memory = {"strides": values.stride(), "storage_offset": values.storage_offset()}
        tensor = Tensor._make_wrapper_subclass(cls, values.size(), dtype=values.dtype, device="cpu", **memory)
        tensor.values = values.detach()
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, None)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"DeviceTensor({self.values})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.values.contiguous().__reduce_ex__(protocol)  # a checkpoint is read back to the CPU

    def __deepcopy__(self, memo: Any) -> DeviceTensor:
        return DeviceTensor(self.values.clone()).requires_grad_(self.requires_grad)


class PretendedDevice:
    """What happened on the device: `waits`, and `uploads` (copies of CPU tensors to it), counted by place in headfit.

    An upload waits, too, unless it is told not to (`non_blocking`).
    """

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self.in_torch = False  # a function of torch is working on a DeviceTensor

    def upload(self, x: Tensor, non_blocking: bool) -> None:
        """Count a copy of a CPU tensor to the device."""
        self.uploads[_place()] += 1
        if not non_blocking:
            self.waits[f"{_place()} upload"] += 1

    def reset(self) -> None:
        """Start counting again."""
        self.waits.clear()
        self.uploads.clear()


@contextmanager
def pretended_device() -> Iterator[PretendedDevice]:
    """Make `cuda` a device of this process, which has the kernels of `headfit.raster`."""
    device = PretendedDevice()
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # else .to() keeps the CPU tensors' type
    try:
        with ExitStack() as stack:
            stack.enter_context(mock.patch("torch.cuda._lazy_init"))
            stack.enter_context(mock.patch("headfit.raster.api.DEVICES", ("cpu", "cuda")))
            stack.enter_context(_Operators(device))
            functions = stack.enter_context(_Functions(device))
            stack.enter_context(mock.patch("torch.autograd._engine_run_backward", _with(functions)))
            yield device
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def _with(functions: _Functions) -> Callable[..., Any]:
    """Torch's backward pass, with the mode that torch turns off before it also around derivatives written in Python."""
    run_backward = torch.autograd._engine_run_backward

    def run(*args: Any, **kwargs: Any) -> Any:
        before, functions.device.in_torch = functions.device.in_torch, False
        try:
            with functions:
                return run_backward(*args, **kwargs)
        finally:
            functions.device.in_torch = before

    return run


def is_pretended(device: Any) -> bool:
    """Whether an argument names the pretended device."""
    return (device.type if isinstance(device, torch.device) else str(device).partition(":")[0]) == "cuda"


def _place() -> str:
    """File and function in headfit that are being executed; "backward" in the derivative of one of torch's operators,
    "elsewhere" outside of headfit."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_engine_run_backward":
            return "backward"
        if code.co_filename.startswith(SOURCE):
            return f"{Path(code.co_filename).relative_to(SOURCE)} {code.co_name}"
        frame = frame.f_back
    return "elsewhere"


def _in_engine() -> bool:
    return torch._C._current_graph_task_id() != -1 and _place() == "backward"


# ---- operators, below autograd -------------------------------------------------------------------------------------


class _Operators(TorchDispatchMode):
    """Runs operators that make tensors on the device, or work on some."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("device") == torch.device("cpu") and (self.device.in_torch or _in_engine()):
            kwargs["device"] = DEVICE  # C++ made a constant for a DeviceTensor, which it takes for a CPU tensor
        if is_pretended(kwargs.get("device")) or any(isinstance(x, DeviceTensor) for x in tree_leaves((args, kwargs))):
            return _run(func, args, kwargs, self.device)
        return func(*args, **kwargs)


def _run(func: Any, args: Any, kwargs: dict[str, Any], device: PretendedDevice | None) -> Any:
    operator = func.overloadpacket
    device = device or PretendedDevice()
    if operator is aten.copy_:
        return _copy(args[0], args[1], device, non_blocking=any(args[2:]) or kwargs.get("non_blocking", False))
    if is_pretended(kwargs.get("device")):
        kwargs = {**kwargs, "device": "cpu"}
    _refuse_mixture(func, args, kwargs)
    if torch.are_deterministic_algorithms_enabled():
        _refuse_nondeterministic(func, args)
    if operator in WAITS or (operator in INDEXING and _waits(args[1])):
        device.waits[f"{_place()} {operator.__name__}"] += 1
    result = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    if func._schema.name.endswith("_") and not func._schema.name.endswith("__"):
        assert args[0].shape == args[0].values.shape, f"{func}: changes the shape of a tensor in place"
        return args[0]
    if "out" in kwargs:
        return kwargs["out"]
    return tree_map(lambda x: DeviceTensor(x) if isinstance(x, Tensor) else x, result)


def _copy(target: Tensor, source: Tensor, device: PretendedDevice, non_blocking: bool) -> Tensor:
    if isinstance(target, DeviceTensor) and not isinstance(source, DeviceTensor):
        device.upload(source, non_blocking)
    if isinstance(source, DeviceTensor) and not isinstance(target, DeviceTensor):
        device.waits[f"{_place()} copy_"] += 1
    _values(target).copy_(_values(source))
    return target


def _values(x: Any) -> Any:
    return x.values if isinstance(x, DeviceTensor) else x


def _refuse_mixture(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    if func.overloadpacket in INDEXING and isinstance(args[0], DeviceTensor):
        args = [args[0], args[2:]]
    foreign = [x for x in tree_leaves((args, kwargs)) if type(x) in (Tensor, torch.nn.Parameter) and x.dim() > 0]
    if foreign and any(isinstance(x, DeviceTensor) for x in tree_leaves((args, kwargs))):
        raise RuntimeError(
            f"{func}: expected all tensors to be on the same device, but found cuda:0 and cpu "
            f"{[list(x.shape) for x in foreign]}"
        )


def _refuse_nondeterministic(func: Any, args: Any) -> None:
    operator = func.overloadpacket
    refused = (
        operator in REFUSED
        or (operator in REFUSED_FOR_FLOATS and args[0].is_floating_point())
        or (operator in (aten.median, aten.nanmedian) and len(func._schema.returns) > 1)
        or (operator is aten.bincount and len(args) > 1 and args[1] is not None)
    )
    if refused:
        raise RuntimeError(f"{func} does not have a deterministic implementation on CUDA")


def _waits(indices: Any) -> bool:
    """Whether an index is a mask, whose True values are counted, or has to be copied to the device first."""
    return any(i is not None and (i.dtype in (torch.bool, torch.uint8) or not _is_there(i)) for i in indices)


def _is_there(x: Tensor) -> bool:
    return isinstance(x, DeviceTensor) or x.dim() == 0


# ---- what never reaches an operator --------------------------------------------------------------------------------


class _ToDevice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return DeviceTensor(x.clone())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _values(grad)


class _ToHost(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _values(x).clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return DeviceTensor(grad)


class _Functions(TorchFunctionMode):
    """Moves between devices, and methods that torch answers before it calls an operator."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self.device = device
        self.replaced: dict[Any, Callable[..., Any]] = {
            Tensor.to: self._to,
            Tensor.cpu: lambda x: self._to(x, "cpu"),
            Tensor.cuda: lambda x, device="cuda": self._to(x, device),
            Tensor.numpy: self._numpy,
            Tensor.tolist: lambda x: self._to(x, "cpu").tolist(),
            Tensor.new_tensor: lambda x, data, **options: self._made(torch.tensor, data, x, options),
            torch.tensor: lambda data, **options: self._made(torch.tensor, data, None, options),
            torch.as_tensor: lambda data, **options: self._made(torch.as_tensor, data, None, options),
            Tensor.quantile: lambda x, *options: DeviceTensor(x.values.quantile(*options)),  # else by squeeze_
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        concerned = is_pretended(kwargs.get("device")) or any(
            isinstance(x, DeviceTensor) or (isinstance(x, (str, torch.device)) and is_pretended(x))
            for x in tree_leaves((args, kwargs))
        )
        if not concerned or func in self.replaced:
            return self.replaced.get(func, func)(*args, **kwargs) if concerned else func(*args, **kwargs)
        before, self.device.in_torch = self.device.in_torch, not is_pretended(kwargs.get("device"))
        try:
            return func(*args, **kwargs)
        finally:
            self.device.in_torch = before

    def _to(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], Tensor):
            wanted: Any = args[0].device
            dtype: Any = args[0].dtype
        else:
            wanted, dtype, _, _ = torch._C._nn._parse_to(
                *args, **{name: value for name, value in kwargs.items() if name != "copy"}
            )
        here = isinstance(x, DeviceTensor)
        if wanted is not None and is_pretended(wanted) and not here:
            self.device.upload(x, kwargs.get("non_blocking", False))
            x = _ToDevice.apply(x)
        elif wanted is not None and not is_pretended(wanted) and here:
            self.device.waits[f"{_place()} to cpu"] += 1
            x = _ToHost.apply(x)
        return x if dtype is None else x.to(dtype)

    def _numpy(self, x: Tensor, **options: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use .cpu() first")

    def _made(self, make: Callable[..., Tensor], data: Any, like: Tensor | None, options: dict[str, Any]) -> Tensor:
        device = options.pop("device", None if like is None else like.device)
        if like is not None:
            options.setdefault("dtype", like.dtype)
        if isinstance(data, DeviceTensor):
            return self._to(data, device or data.device, **options)
        made = make(data, **options)
        return self._to(made, device) if device is not None else made
