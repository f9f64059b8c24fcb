"""Imports (those for type checking included) follow the map of docs/architecture.md."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Modules that any room may import: they do not depend on heads, captures or images.
BASE = {"assets", "errors", "files", "interruption", "npz", "sampling", "types"}
#: Room -> the rooms that it may import.
ALLOWED: dict[str, set[str]] = {
    "raster": set(),
    "capture": set(),
    "head": {"capture", "raster"},
    "segmentation": {"capture"},
    "prepare": {"capture", "fitting", "head", "segmentation"},
    "render": {"capture", "head", "raster"},
    "fitting": {"capture", "head", "raster", "render", "segmentation"},
    "evaluate": {"capture", "fitting", "raster", "render"},
    "export": {"capture", "fitting", "head", "render"},
    "report": {"capture", "evaluate", "export", "fitting"},
    "synth": {"capture", "export", "head", "raster", "render"},
    "view": {"capture", "evaluate", "export", "fitting", "head", "raster", "render"},
    "modelling": {"capture", "evaluate", "export", "fitting", "head", "raster", "render", "synth"},
    "commands": {"capture", "evaluate", "export", "fitting", "head", "modelling", "prepare", "report", "synth", "view"},
    "cli": {"commands"},
}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for path in (ROOT / "headfit").rglob("*.py*") if path.suffix in (".py", ".pyi")}


def imports(module: str) -> set[str]:
    """The modules of headfit that a module of headfit imports, anywhere in its text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {name if name in FILES else name.rpartition(".")[0] for name in found} & set(FILES) - {module}


def room_of(module: str) -> str:
    return module.removeprefix("headfit").removeprefix(".").partition(".")[0]


@pytest.mark.parametrize("room", sorted({room_of(module) for module in FILES} - {""}))
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    assert room in ALLOWED or room in BASE, f"headfit/{room} is on no map: add it here and to docs/architecture.md"
    allowed = {room, "", *BASE, *ALLOWED.get(room, ())}
    used = {(module, other) for module in FILES if room_of(module) == room for other in imports(module)}
    assert {(module, other) for module, other in used if room_of(other) not in allowed} == set()


def test_no_room_may_import_what_stands_above_it() -> None:
    TopologicalSorter(ALLOWED).prepare()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """A package's `__init__` lists what its modules offer, so those must not need it."""
    try:
        TopologicalSorter({module: imports(module) for module in FILES}).prepare()
    except CycleError as cycle:
        pytest.fail(f"{cycle.args[0]}: {' <- '.join(cycle.args[1])}")


def test_no_test_module_is_imported() -> None:
    """Shared test code is in tests/support; a conftest.py provides fixtures, which are not imported."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(name.name for name in node.names)]
                assert not [name for name in names if name == "conftest" or name.startswith("test_")], path


@pytest.mark.parametrize("folder", ["headfit", "csrc", "models", "tests", "examples", "docs"])
def test_files_are_short(folder: str) -> None:
    suffixes = {".py", ".pyi", ".cpp", ".h", ".cu"}
    sizes = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*") if path.suffix in suffixes}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400} == {}
