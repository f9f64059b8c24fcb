"""Windows, faces and landmarks, with small pretended networks; and the real ones where they are installed."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from headfit.errors import HeadfitError
from headfit.prepare.crops import Crop
from headfit.prepare.face_boxes import FaceDetector, full_range_anchors, short_range_anchors
from headfit.prepare.face_mesh import FACE_SIDE, eye_points, face_points
from headfit.prepare.wheel import NETWORKS, network_files


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """A picture whose red is 2x and whose green is 2y at the pixel with centre (x + 1/2, y + 1/2)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x, 2 * y, 0 * x], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("window", [Crop(40, 30, 20), Crop(38, 33, 20, 0.5), Crop(41, 29, 40, -0.3)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_window_shows_what_is_at_its_points(window: Crop, mirrored: bool) -> None:
    side = 10
    cut = window.cut(ramp(), side, mirrored)
    at = np.array([[3.5, 6.5]]) / side
    there = window.to_picture(np.abs([[1.0, 0.0]] - at) if mirrored else at)[0]
    np.testing.assert_allclose(cut[6, 3, :2], 2 * (there - 0.5), atol=1.5)


def test_moving_a_window_is_in_shares_of_its_size() -> None:
    assert Crop(10, 10, 20, 0.1).moved(0.5, -0.5, 2, 0.2) == Crop(20, 0, 40, pytest.approx(0.3))


def test_a_detector_returns_the_window_of_the_best_box() -> None:
    anchors = short_range_anchors()
    assert anchors.shape == (896, 2) and full_range_anchors().shape == (2304, 2)
    logits, boxes = np.full(896, -9.0, np.float32), np.zeros((896, 8, 2), np.float32)
    chosen = 300
    logits[chosen] = 4
    boxes[chosen, 1] = 32  # a quarter of the input
    boxes[chosen, 2], boxes[chosen, 3] = [-8, 0], [8, 0]
    detector = FaceDetector(lambda image: [boxes.ravel(), logits], 128, anchors)
    score, window = detector.find(np.zeros((100, 200, 3), np.uint8))
    assert score == pytest.approx(1 / (1 + np.exp(-4))) and window.angle == pytest.approx(0)
    assert window.size == pytest.approx(200 / 4 * 1.5)
    np.testing.assert_allclose([window.x, window.y], anchors[chosen] * 200 - [0, 50], atol=1e-4)
    logits[:] = -9
    assert detector.find(np.zeros((100, 200, 3), np.uint8)) is None


def test_points_come_back_to_the_picture() -> None:
    raw = np.zeros((468, 3), np.float32)
    raw[5] = [FACE_SIDE / 4, FACE_SIDE / 2, FACE_SIDE / 8]
    points, certainty = face_points(lambda image: [raw.ravel(), np.zeros(1)], ramp(), Crop(40, 30, 40))
    np.testing.assert_allclose(points[5], [30, 30, 5])
    assert certainty == 0.5


def test_the_left_eye_is_mirrored_there_and_back() -> None:
    lids, iris = np.zeros((71, 3), np.float32), np.full((5, 3), 16, np.float32)
    plain = eye_points(lambda image: [lids.ravel(), iris.ravel()], ramp(), Crop(40, 30, 40), mirrored=False)
    mirrored = eye_points(lambda image: [lids.ravel(), iris.ravel()], ramp(), Crop(40, 30, 40), mirrored=True)
    np.testing.assert_allclose(plain[1][0], [30, 20])
    np.testing.assert_allclose(mirrored[1][0], [50, 20])


def test_networks_are_taken_out_of_a_wheel_once(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-0.10.14.whl"
    with ZipFile(wheel, "w") as archive:
        for name, folder in NETWORKS.items():
            archive.writestr(f"mediapipe/modules/{folder}/{name}.tflite", name)
    files = network_files(wheel, tmp_path / "cache")
    assert {name: path.read_text() for name, path in files.items()} == {name: name for name in NETWORKS}
    wheel.unlink()
    assert network_files(wheel, tmp_path / "cache") == files


def test_another_file_is_not_taken_for_the_wheel(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(HeadfitError, match=r"other\.whl: not a wheel of mediapipe==0\.10\.14.*pip download"):
        network_files(tmp_path / "other.whl", tmp_path / "cache")
