from pathlib import Path

import numpy as np
import pytest

from headfit.capture import Camera, open_capture
from headfit.capture.lenses import OpenCVLens
from headfit.capture.writer import CaptureWriter
from headfit.errors import HeadfitError

K = np.array([[50.0, 0, 12], [0, 51, 9], [0, 0, 1]])
CAMERAS = [
    Camera("left", 24, 18, K, np.eye(3), np.array([0.1, 0, 1])),
    Camera("right", 16, 20, K, np.diag([-1.0, -1, 1]), np.array([0, 0.2, 1]), OpenCVLens.of([-0.1, 0.2, 0.01, 0.02])),
]
LABELS = {0: "background", 1: "skin"}


def writer(path: Path, **options: int) -> CaptureWriter:
    return CaptureWriter(path, CAMERAS, ["a", "b"], 25, LABELS, **options)


@pytest.mark.parametrize("quality", [None, 95])
def test_what_is_written_is_read_back(tmp_path: Path, quality: int | None) -> None:
    rgb, mask = np.full((20, 16, 3), (40, 90, 160), np.uint8), np.ones((20, 16), np.uint8)
    landmarks = np.column_stack([np.linspace(0, 16, 68), np.linspace(0, 20, 68), np.linspace(0, 1, 68)])
    vertices = np.arange(9.0).reshape(3, 3)
    with writer(tmp_path / "c", jpeg_quality=quality) as out:
        assert out.image(1, 0, rgb).suffix == (".png" if quality is None else ".jpg")
        out.mask(1, 0, mask)
        out.landmarks(1, 0, landmarks)
        out.topology(faces=[[0, 1, 2]], face_parts=[0], part_names=["all"])
        out.ground_truth(1, vertices, extra=3)
    capture = open_capture(tmp_path / "c")
    assert (capture.name, capture.fps, capture.frames, capture.label_names) == ("c", 25, ["a", "b"], LABELS)
    for read, written in zip(capture.cameras, CAMERAS, strict=True):
        assert (read.id, read.size) == (written.id, written.size)
        for ours, theirs in ((read.K, written.K), (read.R, written.R), (read.t, written.t)):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(read.lens.coefficients, written.lens.coefficients)
    image, truth = capture.image(1, 0), capture.ground_truth()
    assert image is not None and truth is not None
    np.testing.assert_allclose(image, rgb, atol=0 if quality is None else 3)
    np.testing.assert_array_equal(capture.mask(1, 0), mask)
    np.testing.assert_allclose(capture.landmarks(1, 0), landmarks, atol=5e-4)
    np.testing.assert_array_equal(truth.vertices("b"), vertices)
    assert truth.vertices("a") is None and capture.image(0, 0) is None


def test_a_capture_that_was_not_finished_is_no_capture(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), writer(tmp_path) as out:
        out.mask(0, 0, np.zeros((18, 24), np.uint8))
        raise KeyboardInterrupt
    assert not (tmp_path / "capture.json").exists()
    with pytest.raises(HeadfitError, match=r"capture\.json: missing"):
        open_capture(tmp_path)


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    with writer(tmp_path):
        pass
    with pytest.raises(HeadfitError, match="already holds a capture"):
        writer(tmp_path)


def test_images_of_another_size_or_type_are_refused(tmp_path: Path) -> None:
    with writer(tmp_path) as out:
        with pytest.raises(ValueError, match=r"left/a\.png: expected uint8 \[18,24\], got uint8 \[24, 18, 3\]"):
            out.image(0, 0, np.zeros((24, 18, 3), np.uint8))
        with pytest.raises(ValueError, match="got float64"):
            out.mask(0, 0, np.zeros((18, 24)))
