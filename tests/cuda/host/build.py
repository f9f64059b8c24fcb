"""Compiles the kernels of csrc/cuda for the host, as they are: see host_shim.h."""

from pathlib import Path
from types import ModuleType

from tests.cuda import building

HERE = Path(__file__).parent
CSRC = building.ROOT / "csrc"
WATCHED = "-fsanitize=thread"  # for compiling only: the calls end in host_shim.cpp, not in the sanitizer


def load() -> ModuleType:
    """The module with the operators on the kernels' source."""
    sources = building.sources_in(CSRC, CSRC / "core", CSRC / "cuda", HERE)
    folder = building.cache_folder([*sources, Path(building.__file__)])
    return building.load("_cuda_on_host", folder, lambda module: _build(sources, module))


def _build(sources: list[Path], module: Path) -> None:
    flags = ["-DHEADFIT_HOST_SHIM", "-Wall", "-Wextra", *building.include_flags(HERE)]
    units = [(path, [*flags, WATCHED]) for path in sources if path.suffix == ".cu"]
    units += [(path, flags) for path in (HERE / "host_shim.cpp", HERE / "module.cpp", CSRC / "cuda/bindings.cpp")]
    units.append((building.nanobind_package() / "src/nb_combined.cpp", [*flags, "-w"]))

    def compile_one(unit: tuple[Path, list[str]]) -> Path:
        source, options = unit
        return building.compile_file(source, module.parent / f"{source.name}.o", *options)

    building.link(building.in_parallel(compile_one, units), module)
