from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from headfit.capture import Camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError
from headfit.export import render_pictures


@pytest.fixture
def model():
    cameras = [Camera(name, 4, 2, np.eye(3), np.eye(3), np.zeros(3)) for name in ("left", "right")]
    capture = CaptureSummary("test", ["a", "b"], 12.0, cameras, {}, WorldFrame(np.zeros(3)))

    def render(camera, index):
        return {"rgb": np.full((2, 4, 3), 100 * index + (camera.id == "right"), dtype=np.uint8)}

    return SimpleNamespace(capture=capture, render=render, corrected_cameras=lambda: capture.cameras)


def test_a_picture_per_camera_and_frame(model, tmp_path):
    assert render_pictures(model, tmp_path / "out") == 4
    assert np.asarray(Image.open(tmp_path / "out" / "right" / "b.png"))[0, 0, 0] == 101
    assert np.asarray(Image.open(tmp_path / "out" / "left" / "a.png")).shape == (2, 4, 3)


def test_chosen_cameras_only(model, tmp_path):
    assert render_pictures(model, tmp_path / "out", ["right", "right"]) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["right"]


def test_an_unknown_camera_is_named(model, tmp_path):
    with pytest.raises(HeadfitError, match=r"top.*left, right"):
        render_pictures(model, tmp_path / "out", ["top"])
    assert not (tmp_path / "out").exists()
