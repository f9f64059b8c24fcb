"""Builds the kernels of csrc/cuda for the host (see host/host_shim.h), and runs headfit.raster on them."""

import hashlib
import importlib.util
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOST = Path(__file__).parent / "host"
STREAM = 4321  # where the tests make the kernels run
WATCHED = ["-fsanitize=thread"]  # for compiling only: the calls end in host_shim.cpp, not in the sanitizer


def build(folder: Path) -> Path:
    """The extension module, compiled once for each content of its sources."""
    nanobind = pytest.importorskip("nanobind", reason="needs the development packages: pip install '.[dev]'")
    sources = sorted(
        p for d in (ROOT / "csrc", ROOT / "csrc/core", ROOT / "csrc/cuda", HOST) for p in d.iterdir() if p.is_file()
    )
    content = b"".join(p.read_bytes() for p in sources) + nanobind.__version__.encode() + Path(__file__).read_bytes()
    module = (
        folder
        / f"{hashlib.sha256(content).hexdigest()[:16]}"
        / f"_cuda_on_host{sysconfig.get_config_var('EXT_SUFFIX')}"
    )
    if module.exists():
        return module
    module.parent.mkdir(parents=True, exist_ok=True)
    package = Path(nanobind.source_dir()).parent
    includes = [
        ROOT / "csrc",
        HOST,
        nanobind.include_dir(),
        sysconfig.get_path("include"),
        package / "ext/robin_map/include",
    ]
    flags = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-ffp-contract=off"]
    flags += ["-DHEADFIT_HOST_SHIM", "-Wall", "-Wextra", *(f"-I{path}" for path in includes)]
    units = [(p, WATCHED) for p in sources if p.suffix == ".cu"]
    units += [(p, []) for p in (HOST / "host_shim.cpp", HOST / "module.cpp", ROOT / "csrc/cuda/bindings.cpp")]
    units.append((package / "src/nb_combined.cpp", ["-w"]))

    def compile_one(unit: tuple[Path, list[str]]) -> str:
        source, extra = unit
        target = module.parent / f"{source.name}.o"
        _run(_compiler(), *flags, *extra, "-x", "c++", "-c", source, "-o", target)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, units))
    unfinished = module.with_suffix(f".{os.getpid()}")
    _run(_compiler(), "-shared", *objects, "-o", unfinished)
    unfinished.rename(module)
    return module


def _compiler() -> str:
    return os.environ.get("CXX", "c++")


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


@pytest.fixture(scope="session")
def on_host() -> ModuleType:
    path = build(Path(tempfile.gettempdir()) / "headfit-cuda-on-host")
    spec = importlib.util.spec_from_file_location("_cuda_on_host", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shim(on_host: ModuleType) -> Iterator[ModuleType]:
    """The kernels, whose faults fail the test if it does not take them itself."""
    on_host.seed(0)
    on_host.take_faults()
    yield on_host
    assert on_host.take_faults() == []


@pytest.fixture
def gpu(shim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The operators of headfit.raster on the CUDA kernels, run on the host: only stream and device are faked."""
    from headfit.raster import backend, ops, texture

    @contextmanager
    def on_host(x: Any) -> Iterator[backend.Backend]:
        yield backend.Backend(shim, STREAM, x.device)

    class Gpu:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            operator = getattr(ops if hasattr(ops, name) else texture, name)

            def run(*arguments: Any) -> Any:
                with monkeypatch.context() as patch:
                    patch.setattr(backend, "backend_of", on_host)
                    return operator(*arguments)

            return run

    return Gpu()
