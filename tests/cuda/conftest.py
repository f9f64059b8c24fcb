"""Runs headfit.raster on the CUDA kernels without a GPU: their source compiled for the host, or the PTX of nvcc."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from tests.cuda.host import build as host
from tests.cuda.ptx import build as ptx
from tests.support.kernel_scenes import STREAM


@pytest.fixture(scope="session", params=["source", "ptx"])
def executor(request: pytest.FixtureRequest) -> ModuleType:
    """The module with the kernels: every test that uses it runs on both."""
    if request.param == "source":
        return host.load()
    if ptx.nvcc() is None:
        pytest.skip(ptx.NO_NVCC)
    return ptx.load()


@pytest.fixture
def shim(executor: ModuleType) -> Iterator[ModuleType]:
    """The kernels. Faults fail the test unless it takes them itself."""
    executor.seed(0)
    executor.take_faults()
    yield executor
    assert executor.take_faults() == []


@pytest.fixture
def operators_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Any]:
    """The operators of headfit.raster on the given kernels: only stream and device are faked."""
    from headfit.raster import backend, gloss, labels, lighting, normals, ops, texture

    class Operators:
        def __init__(self, kernels: ModuleType) -> None:
            self.kernels = kernels

        @contextmanager
        def backend_of(self, x: Any) -> Iterator[backend.Backend]:
            yield backend.Backend(self.kernels, STREAM, x.device)

        def __getattr__(self, name: str) -> Callable[..., Any]:
            modules = ops, texture, normals, lighting, gloss, labels
            operator = next(getattr(m, name) for m in modules if hasattr(m, name))

            def run(*arguments: Any) -> Any:
                with monkeypatch.context() as patch:
                    patch.setattr(backend, "backend_of", self.backend_of)
                    return operator(*arguments)

            return run

    return Operators


@pytest.fixture
def gpu(shim: ModuleType, operators_on: Callable[[ModuleType], Any]) -> Any:
    """The operators of headfit.raster on the kernels of csrc/cuda."""
    return operators_on(shim)
