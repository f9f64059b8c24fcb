"""Landmark detection with a given detector, and with a stand-in for the face-alignment package."""

import json
import sys
import types
import urllib.error
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import DamagedFile, open_capture
from headfit.capture.landmark_files import read_landmarks
from headfit.capture.landmarks import detect_landmarks, face_alignment_detector
from headfit.errors import HeadfitError

WriteCapture = Callable[..., Path]


def detector_of_grey_values(image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Points derived from the colours of the image: 7 times the frame in red, 20 times the camera in green."""
    frame, camera = image[0, 0, 0] / 7, image[0, 0, 1] / 20
    if frame == 2:
        return None
    points = np.stack([np.arange(68) + frame, np.full(68, camera)], axis=1)
    return points, np.linspace(-0.1, 1.2, 68)


def test_what_the_detector_finds_is_written_and_read_back(write_capture: WriteCapture) -> None:
    root = write_capture()
    for file in (root / "landmarks").rglob("*.json"):
        file.unlink()
    (root / "images" / "cam2" / "0003.png").write_bytes(b"damaged")
    (root / "images" / "cam2" / "0001.png").unlink()
    capture = open_capture(root)
    summary = detect_landmarks(capture, detector_of_grey_values)
    assert (summary.written, summary.without_face, summary.kept, summary.without_image) == (7, 3, 0, 2)
    landmarks = capture.landmarks(1, 3)
    assert landmarks is not None
    np.testing.assert_allclose(landmarks[:, 0], np.arange(68) + 3)
    np.testing.assert_allclose(landmarks[:, 1], 1)
    np.testing.assert_allclose(landmarks[:, 2], np.linspace(-0.1, 1.2, 68).clip(0, 1), atol=1e-4)
    assert capture.landmarks(1, 2) is None
    assert not list(root.rglob("*.partial"))


def test_points_a_million_pixels_away_are_damage(tmp_path: Path) -> None:
    (tmp_path / "far.json").write_text(json.dumps([[1e30, 5.0, 1.0]] * 68))
    with pytest.raises(DamagedFile, match=r"far\.json: holds a point more than a million pixels from the picture"):
        read_landmarks(tmp_path / "far.json")


def test_landmarks_that_exist_are_kept_unless_asked(write_capture: WriteCapture) -> None:
    root = write_capture()
    capture = open_capture(root)
    before = (root / "landmarks" / "cam0" / "0000.json").read_text()
    assert detect_landmarks(capture, detector_of_grey_values).kept == 12
    assert (root / "landmarks" / "cam0" / "0000.json").read_text() == before
    assert detect_landmarks(capture, detector_of_grey_values, overwrite=True).written == 9
    assert (root / "landmarks" / "cam0" / "0000.json").read_text() != before


def test_a_detector_of_another_scheme_is_refused(write_capture: WriteCapture) -> None:
    capture = open_capture(write_capture())
    with pytest.raises(ValueError, match="68"):
        detect_landmarks(capture, lambda _: (np.zeros((98, 2)), np.zeros(98)), overwrite=True)


@pytest.fixture
def fake_package(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A face_alignment module whose network returns `faces`, or fails to load with `failure`."""
    state = types.SimpleNamespace(faces=[], failure=None)

    class FaceAlignment:
        def __init__(self, *_: object, **__: object):
            if state.failure is not None:
                raise state.failure

        def get_landmarks_from_image(self, _: np.ndarray, **__: object) -> tuple:
            if not state.faces:
                return None, None, None
            points, scores, boxes = zip(*state.faces, strict=True)
            return list(points), list(scores), list(boxes)

    module = types.ModuleType("face_alignment")
    module.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    module.LandmarksType = types.SimpleNamespace(TWO_D=1)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "face_alignment", module)
    return state


def test_the_largest_face_is_used_and_its_points_are_pixel_centres(fake_package: types.SimpleNamespace) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    detect = face_alignment_detector()
    assert detect(image) is None
    small, large = (np.full((68, 2), value, np.float32) for value in (3, 5))
    fake_package.faces = [
        (small, np.full(68, 1.0), np.array([0, 0, 9, 10, 0.99])),
        (large, np.full(68, 1.4), np.array([0, 0, 10, 10, 0.5])),
    ]
    found = detect(image)
    assert found is not None
    np.testing.assert_allclose(found[0], 5.5)
    np.testing.assert_allclose(found[1], 0.7)


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("Name or service not known"),
        urllib.error.HTTPError("https://example.org", 403, "Forbidden", None, None),  # type: ignore[arg-type]
        TimeoutError("timed out"),
        RuntimeError("invalid hash value\n(expected ...)"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_weights_that_cannot_be_loaded_give_one_line(
    fake_package: types.SimpleNamespace, write_capture: WriteCapture, failure: Exception
) -> None:
    fake_package.failure = failure
    with pytest.raises(HeadfitError, match=r"weights could not be loaded .*fit also runs without") as raised:
        detect_landmarks(open_capture(write_capture()))
    assert "\n" not in str(raised.value)
