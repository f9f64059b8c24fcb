"""Each example does what its docstring says, in a moment."""

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from headfit.capture import open_capture

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
def test_a_fit_of_a_few_steps_already_looks_like_its_capture(tmp_path: Path) -> None:
    assert example("04").main(tmp_path) < 8
    assert {path.name for path in (tmp_path / "meshes").glob("*.glb")} == {"000000.glb", "000001.glb"}
    assert colours_in(tmp_path / "compare.png") > 100


def test_a_converted_dataset_is_a_capture_in_headfits_conventions(tmp_path: Path) -> None:
    example("06").main(tmp_path)
    capture = open_capture(tmp_path / "capture")
    for camera in range(len(capture.cameras)):
        (seen,) = capture.cameras[camera].project(np.array([[0.0, 0.1, 0.02]]))
        row, column = np.argwhere(capture.image(camera, 0).max(-1) > 250).mean(0)  # the dataset's white dot
        np.testing.assert_allclose(seen, [column + 0.5, row + 0.5], atol=0.6)


@pytest.mark.slow
def test_an_egg_is_a_head(tmp_path: Path) -> None:
    head = example("05").main(tmp_path)
    moved = (head.pose(units={"jawOpen": 1.0}) - head.rest()).norm(dim=1)
    assert moved.max() > 0.025 and (moved[head.vertices_of("left_eye")] == 0).all()
    assert colours_in(tmp_path / "egg.png") > 100
