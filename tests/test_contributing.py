"""The recipes of CONTRIBUTING.md, applied to a copy of the package: each one's own test must pass there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headfit.raster import _C

ROOT = Path(__file__).parents[1]
#: A fenced block, with the file that it creates (python) or changes (diff).
BLOCK = re.compile(r'^```(python|diff) title="(.+?)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
#: Recipe -> (new files, changed lines in existing files) that it may need in addition to its test.
COST = {
    "a loss term": (1, 3),
    "a parameter group": (0, 4),
    "a lens": (1, 2),
    "a reader of a dataset layout": (1, 2),
    "an export format": (1, 2),
    "an edge rule": (0, 0),
}


def recipes() -> dict[str, list[tuple[str, str, str]]]:
    """The blocks (kind, file, text) of each recipe, by what it adds."""
    _, *parts = re.split(r"^## To add (.+)$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    return {name: BLOCK.findall(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def apply(kind: str, path: Path, text: str) -> None:
    """Write a new file or change an existing one, which must contain the unchanged lines of a hunk exactly once."""
    if kind == "python":
        assert not path.exists(), f"{path} is there already"
        path.write_text(text)
        return
    content = path.read_text()
    for hunk in re.split(r"^@@\n", text, flags=re.MULTILINE):
        lines = [(line[:1] or " ", line[1:]) for line in hunk.splitlines()]
        before = "".join(f"{line}\n" for sign, line in lines if sign in " -")
        after = "".join(f"{line}\n" for sign, line in lines if sign in " +")
        assert content.count(before) == 1, f"{path}: not there exactly once:\n{before}"
        content = content.replace(before, after)
    path.write_text(content)


def test_every_recipe_is_listed() -> None:
    assert set(recipes()) == set(COST)


@pytest.mark.parametrize("name", COST)
def test_a_recipe_costs_what_it_says(name: str) -> None:
    blocks = [block for block in recipes()[name] if not block[1].startswith("tests/")]
    files = [path for kind, path, _ in blocks if kind == "python"]
    lines = [line for kind, _, text in blocks if kind == "diff" for line in text.splitlines() if line[:1] == "+"]
    assert (len(files), len(lines)) == COST[name]


@pytest.mark.slow
def test_the_recipes_work(tmp_path: Path) -> None:
    """All recipes in one copy of the package, to check that they are also compatible with each other."""
    for folder in ("headfit", "configs", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "_C.*.so"))
    (tmp_path / "models").symlink_to(ROOT / "models")
    extension = Path(_C.__file__)  # an editable install keeps it elsewhere
    shutil.copy(extension, tmp_path / "headfit" / "raster" / extension.name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tests = ["tests/test_architecture.py"]
    for name, blocks in recipes().items():
        for kind, file, text in blocks:
            apply(kind, tmp_path / file, text)
        own = [file for _, file, _ in blocks if file.startswith("tests/")]
        assert bool(own) == any(COST[name]), f"to add {name}: a recipe ends with its test"
        tests += own
    # -S: without the import hook of an editable install, which would bring the package of this checkout.
    command = [sys.executable, "-S", "-m", "pytest", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
