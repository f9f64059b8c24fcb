"""Compiles extension modules for the tests of the kernels, once for each content of their sources."""

import hashlib
import importlib.util
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-ffp-contract=off"]
Value, Result = TypeVar("Value"), TypeVar("Result")


def nanobind_package() -> Path:
    """The folder of the nanobind package."""
    nanobind = pytest.importorskip("nanobind", reason="needs the development packages: pip install '.[dev]'")
    return Path(nanobind.source_dir()).parent


def include_flags(*folders: Path) -> list[str]:
    """The compiler's flags for csrc, nanobind and Python, after the given folders."""
    package = nanobind_package()
    known = (ROOT / "csrc", package / "include", sysconfig.get_path("include"), package / "ext/robin_map/include")
    return [f"-I{folder}" for folder in (*folders, *known)]


def sources_in(*folders: Path) -> list[Path]:
    """The files of the folders, without those of their subfolders."""
    return sorted(path for folder in folders for path in folder.iterdir() if path.is_file())


def cache_folder(inputs: Iterable[Path]) -> Path:
    """The folder for what is built from files with this content."""
    content = b"".join(path.read_bytes() for path in inputs) + (nanobind_package() / "__init__.py").read_bytes()
    folder = Path(tempfile.gettempdir()) / "headfit-cuda-tests" / hashlib.sha256(content).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def once(target: Path, build: Callable[[Path], None]) -> Path:
    """Makes `target` by build(path) unless it exists."""
    if not target.exists():
        unfinished = target.with_suffix(f".{os.getpid()}")
        build(unfinished)
        unfinished.rename(target)
    return target


def load(name: str, folder: Path, build: Callable[[Path], None]) -> ModuleType:
    """The extension module `name` in a folder, made by build(path) if it is not there."""
    path = once(folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}", build)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_file(source: Path, target: Path, *flags: str) -> Path:
    """Compiles a file as C++, once; the object file. A warning fails."""
    return once(target, lambda path: run(_compiler(), *FLAGS, *flags, "-x", "c++", "-c", source, "-o", path))


def link(objects: Iterable[Path], module: Path) -> None:
    """Links a shared library whose symbols no other library replaces."""
    run(_compiler(), "-shared", *objects, "-Wl,-Bsymbolic", "-o", module)


def in_parallel(function: Callable[[Value], Result], values: Iterable[Value]) -> list[Result]:
    """function(value) of each value; compilers run on all processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, values))


def run(*command: object) -> None:
    """Runs a command that must succeed without a warning."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


def _compiler() -> str:
    return os.environ.get("CXX", "c++")
