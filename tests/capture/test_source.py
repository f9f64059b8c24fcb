"""A capture that is not a folder: what a source must provide, and that nothing else is needed to serve its views."""

import numpy as np
import pytest

from headfit.capture import Camera, CaptureSource, DamagedFile, label_classes
from headfit.capture.centroids import label_centroids
from headfit.capture.framing import Framing
from headfit.capture.source import has_masks, read_or_none
from headfit.capture.views import ViewReader
from headfit.errors import HeadfitError
from headfit.types import Float


class InMemory(CaptureSource):
    """Two cameras and two frames; the second camera's first image is damaged, its second mask is missing."""

    def __init__(self) -> None:
        self.name, self.location, self.frames, self.fps = "memory", "memory://take", ["a", "b"], 25.0
        self.cameras = [self.camera("l", -0.1), self.camera("r", 0.1)]
        self.label_names, self.metres_per_unit = {0: "background", 1: "skin"}, 1.0

    @staticmethod
    def camera(name: str, x: float) -> Camera:
        """A camera that shows the origin in the middle of its image, from one metre in front and `x` to the side."""
        K = np.array([[30.0, 0, 6 - 30 * x], [0, 30, 4], [0, 0, 1]])
        return Camera(name, 12, 8, K, np.eye(3), np.array([x, 0, 1]))

    def image(self, camera: int, frame: int) -> np.ndarray:
        if (camera, frame) == (1, 0):
            raise DamagedFile("r.zip/a.png", "is truncated")
        return np.full((8, 12, 3), 10 * camera + frame, np.uint8)

    def mask(self, camera: int, frame: int) -> np.ndarray | None:
        return np.ones((8, 12), np.uint8) if self.has_mask(camera, frame) else None

    def landmarks(self, camera: int, frame: int) -> Float | None:
        return None

    def has_image(self, camera: int, frame: int) -> bool:
        return True

    def has_mask(self, camera: int, frame: int) -> bool:
        return (camera, frame) != (1, 1)

    def has_landmarks(self, camera: int, frame: int) -> bool:
        return False

    def expected_images(self, camera: int) -> str:
        return f"{self.cameras[camera].id}.zip"


def test_its_views_are_served_and_its_faults_counted() -> None:
    source = InMemory()
    reader = ViewReader(source, label_classes(["skin"], source.label_names), cache_bytes=0)
    batch = reader.batch([(0, 0), (0, 1), (1, 1)], [Framing(0, 0, 12, 8, 12, 8)] * 2)
    assert batch.image[:, 0, 0, 0].tolist() == [0, 0, 11]
    assert reader.skipped == {
        "damaged image": ["r.zip/a.png: is truncated"],
        "missing mask": ["memory://take: camera r, frame b"],
    }
    np.testing.assert_allclose(label_centroids(source, 0)["head"], 0, atol=1e-12)


def test_what_a_source_cannot_do_has_a_default() -> None:
    source = InMemory()
    assert source.ground_truth() is None and source.unreferenced_files() == []
    assert source.camera_index("r") == 1
    with pytest.raises(HeadfitError, match=r"memory://take: no camera 'x' in this capture\. Its cameras: l, r\."):
        source.camera_index("x")
    with pytest.raises(HeadfitError, match="memory://take: landmarks cannot be written"):
        source.save_landmarks(0, 0, np.zeros((68, 3)))


def test_a_damaged_file_is_none_and_told_on_request() -> None:
    source, told = InMemory(), []
    assert read_or_none(source.image, 1, 0) is None
    assert read_or_none(source.image, 1, 0, told.append) is None
    assert [str(damage) for damage in told] == ["r.zip/a.png: is truncated"]
    assert read_or_none(source.image, 1, 1, told.append) is not None and len(told) == 1


def test_one_mask_is_enough_to_have_masks(monkeypatch) -> None:
    source = InMemory()
    monkeypatch.setattr(source, "has_mask", lambda camera, frame: (camera, frame) == (1, 1))
    assert has_masks(source)
    source.label_names = {}
    assert not has_masks(source)
    source.label_names = {1: "skin"}
    monkeypatch.setattr(source, "has_mask", lambda camera, frame: False)
    assert not has_masks(source)
