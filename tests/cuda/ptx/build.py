"""Compiles csrc/cuda with nvcc, translates the PTX to C++, and links both with a CUDA runtime for the host.

The host side (bindings, grids, memsets, nvcc's launch stubs) and the PTX are what a GPU build has. A `Change` makes a
variant of the kernels that is wrong on purpose.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.cuda import building
from tests.cuda.ptx.listing import Kernel, contract, read_kernels
from tests.cuda.ptx.translate import translate

MODULE = "_cuda_on_ptx"
HERE = Path(__file__).parent
CSRC = building.ROOT / "csrc"
CMAKE = building.ROOT / "cmake/cuda.cmake"
KERNELS = (
    "rasterize",
    "rasterize_backward",
    "interpolate",
    "edge_grad",
    "gloss",
    "label_loss",
    "normals",
    "shade",
    "texture",
)
NVCC_FLAGS = ["-std=c++17", "-O3", "-gencode=arch=compute_75,code=compute_75"]
HOST_FLAGS = "-Xcompiler=-fPIC,-fvisibility=hidden,-Wno-unknown-pragmas"
NO_CONTRACTION = "-fmad=false"
NO_NVCC = "nvcc is not on the path, so there is no PTX to run"
# Generated code has unused labels and variables; the rounding mode changes in fma_down.
TRANSLATION_FLAGS = ["-frounding-math", "-w"]


@dataclass(frozen=True)
class Change:
    """How a variant of one source file of kernels differs from csrc/cuda."""

    kernels: str
    name: str
    #: In this file of csrc/cuda, this text is replaced by that one.
    edit: tuple[str, str, str] | None = None
    #: Compiled with contraction into fused multiply-adds, of which ptxas leaves the choice: see `contract`.
    contracted: int | None = None


def nvcc() -> str | None:
    """The CUDA compiler, if there is one."""
    return shutil.which("nvcc")


def load(change: Change | None = None) -> ModuleType:
    """The module with the operators on the kernels' PTX, or on a variant of it."""
    folder = _folder()
    if change is None:
        return building.load(MODULE, folder, lambda module: building.link(_objects(folder), module))
    variant = folder / change.name
    variant.mkdir(exist_ok=True)

    def build(module: Path) -> None:
        changed = _kernel_objects(change.kernels, variant, _changed_source(change, variant), change.contracted)
        others = [path for path in _objects(folder) if path.name not in {x.name for x in changed}]
        building.link([*others, *changed], module)

    return building.load(MODULE, variant, build)


def kernels_of(name: str) -> list[Kernel]:
    """The kernels that nvcc makes of csrc/cuda/`name`.cu."""
    folder = _folder()
    _kernel_objects(name, folder, CSRC, None)
    return read_kernels((folder / f"{name}.ptx").read_text())


def _folder() -> Path:
    sources = building.sources_in(CSRC, CSRC / "core", CSRC / "cuda", HERE)
    return building.cache_folder([*sources, CMAKE, Path(building.__file__)])


def _kernel_options() -> list[str]:
    """The options that the project compiles its kernels with, but for those of the host's compiler."""
    found = re.search(r"target_compile_options\(headfit_cuda PRIVATE (.*?) -Xcompiler", CMAKE.read_text())
    assert found, f"{CMAKE}: where are the options of headfit_cuda?"
    return found[1].split()


def _objects(folder: Path) -> list[Path]:
    """All object files of the module."""
    flags = [
        "-DHEADFIT_HOST_SHIM",
        f"-DHEADFIT_MODULE={MODULE}",
        *building.include_flags(HERE),
        f"-isystem{_cuda_headers()}",
    ]
    package = building.nanobind_package()
    host = (HERE / "memory.cpp", HERE / "cudart.cpp", HERE / "module.cpp", CSRC / "cuda/bindings.cpp")
    units = [lambda p=path: [building.compile_file(p, folder / f"{p.name}.o", *flags, "-Wall")] for path in host]
    units += [lambda n=name: _kernel_objects(n, folder, CSRC, None) for name in KERNELS]
    units.append(lambda: [building.compile_file(package / "src/nb_combined.cpp", folder / "nanobind.o", *flags, "-w")])
    # The longest first.
    return [path for paths in building.in_parallel(lambda unit: unit(), units[::-1]) for path in paths]


def _kernel_objects(name: str, folder: Path, csrc: Path, contracted: int | None) -> list[Path]:
    """The launch stubs and the translated kernels of one file.

    Names of kernels contain a hash that changes from call to call of nvcc, so both are made by one call.
    """
    intermediate = folder / f"{name}.nvcc"
    options = [option for option in _kernel_options() if contracted is None or option != NO_CONTRACTION]
    flags = [*NVCC_FLAGS, *options, f"-I{csrc}"]

    def compile_stubs(target: Path) -> None:
        intermediate.mkdir(exist_ok=True)
        keep = ["--keep", "--keep-dir", intermediate]
        building.run(nvcc(), *flags, HOST_FLAGS, *keep, "-c", csrc / f"cuda/{name}.cu", "-o", target)
        shutil.move(intermediate / f"{name}.ptx", folder / f"{name}.ptx")
        shutil.rmtree(intermediate)

    stubs = building.once(folder / f"{name}.cu.o", compile_stubs)
    kernels = read_kernels((folder / f"{name}.ptx").read_text())
    if contracted is not None:
        kernels = [contract(kernel, contracted) for kernel in kernels]
    translated = folder / f"{name}.ptx.cpp"
    translated.write_text(translate(kernels))
    return [stubs, building.compile_file(translated, folder / f"{name}.ptx.o", *TRANSLATION_FLAGS, f"-I{HERE}")]


def _changed_source(change: Change, folder: Path) -> Path:
    if change.edit is None:
        return CSRC
    file, old, new = change.edit
    copy = folder / "csrc"
    shutil.copytree(CSRC, copy, dirs_exist_ok=True)
    text = (CSRC / "cuda" / file).read_text()
    assert text.count(old) == 1, f"csrc/cuda/{file} does not hold this once: {old}"
    (copy / "cuda" / file).write_text(text.replace(old, new))
    return copy


def _cuda_headers() -> Path:
    """The folder of cuda_runtime.h, as nvcc itself says."""
    compiler = nvcc()
    assert compiler
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.cu"
        empty.touch()
        said = subprocess.run([compiler, "--dryrun", "-c", empty], capture_output=True, text=True, check=True)
    found = re.search(r'INCLUDES="-I([^"]+?)"', said.stderr)
    assert found, said.stderr
    return Path(found[1])
