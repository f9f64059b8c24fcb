"""Each example does what its docstring says, in a moment."""

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(number: str) -> ModuleType:
    """The example whose file name begins with `number`, imported."""
    (path,) = EXAMPLES.glob(f"{number}_*.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def colours_in(picture: Path) -> int:
    return len(np.unique(cv2.imread(str(picture)).reshape(-1, 3), axis=0))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_a_page_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60


def test_the_gradient_of_a_triangle_is_exact(tmp_path: Path) -> None:
    assert example("01").main(tmp_path / "triangle.png") < 0.005
    assert colours_in(tmp_path / "triangle.png") > 2


def test_the_disc_becomes_a_heart(tmp_path: Path) -> None:
    assert example("02").main(tmp_path / "heart.png") > 0.98
    assert colours_in(tmp_path / "heart.png") == 2


def test_every_pose_of_the_head_is_another_picture(tmp_path: Path) -> None:
    module = example("03")
    module.main(tmp_path / "poses.png")
    poses = np.split(cv2.imread(str(tmp_path / "poses.png")), len(module.POSES), axis=1)
    faces = [pose[: module.SIZE - 60] for pose in poses]  # without the captions
    assert all((faces[0] != face).any(axis=-1).sum() > 500 for face in faces[1:])


@pytest.mark.slow
def test_an_egg_is_a_head(tmp_path: Path) -> None:
    head = example("05").main(tmp_path)
    moved = (head.pose(units={"jawOpen": 1.0}) - head.rest()).norm(dim=1)
    assert moved.max() > 0.025 and (moved[head.vertices_of("left_eye")] == 0).all()
    assert colours_in(tmp_path / "egg.png") > 100
