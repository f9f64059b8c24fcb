"""Files of MediaPipe's 478 landmarks, and the 68 of iBUG among them."""

import json
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import Camera, CaptureSource, label_classes
from headfit.capture.decode import DamagedFile
from headfit.capture.framing import Framing
from headfit.capture.landmark_files import read_dense_landmarks, read_landmarks, write_dense_landmarks, write_landmarks
from headfit.capture.landmark_schemes import SPARSE, dense_confidence, dense_to_sparse
from headfit.capture.views import ViewReader


def dense() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(0, 300, (478, 2)), rng.normal(size=478), rng.uniform(0, 9, 478)])


def test_they_are_read_as_written_and_as_68(tmp_path: Path) -> None:
    path = tmp_path / "cam/0.json"
    write_dense_landmarks(path, dense())
    found = read_dense_landmarks(path)
    assert found is not None
    np.testing.assert_allclose(found, dense(), atol=6e-4)
    np.testing.assert_allclose(read_landmarks(path)[30, :2], dense()[4, :2], atol=6e-4)


def test_other_landmarks_are_not_dense(tmp_path: Path) -> None:
    write_landmarks(tmp_path / "0.json", np.ones((68, 3)))
    assert read_dense_landmarks(tmp_path / "0.json") is None


@pytest.mark.parametrize(
    ("points", "scatter"), [(477, 477), (478, 477)], ids=["a point is missing", "a scatter is missing"]
)
def test_a_wrong_number_of_points_is_damage(tmp_path: Path, points: int, scatter: int) -> None:
    content = {"scheme": "mediapipe478", "points": dense()[:points, :3].tolist(), "scatter": [1.0] * scatter}
    (tmp_path / "0.json").write_text(json.dumps(content))
    with pytest.raises(DamagedFile, match="expected 478 points with x, y, z and scatter"):
        read_landmarks(tmp_path / "0.json")


def test_what_is_not_a_number_is_damage(tmp_path: Path) -> None:
    content = {"scheme": "mediapipe478", "points": [[None] * 3] * 478, "scatter": [1.0] * 478}
    (tmp_path / "0.json").write_text(json.dumps(content))
    with pytest.raises(DamagedFile, match="not finite"):
        read_landmarks(tmp_path / "0.json")


def test_each_of_the_68_is_the_mean_of_its_points_with_a_confidence_by_their_scatter() -> None:
    assert len(SPARSE) == 68
    points, scatter = dense()[:, :2], np.zeros(478)
    extent = np.ptp(points[:468], axis=0).max()
    scatter[33] = 0.015 * extent
    found = dense_to_sparse(points, scatter)
    np.testing.assert_allclose(found[29, :2], points[[195, 5]].mean(axis=0))
    assert found[36, 2] == pytest.approx(0.5) and found[45, 2] == 1
    assert (found[:17, 2] == 0).all()  # a line of the skin is not the outline


def test_left_and_right_are_the_subjects() -> None:
    """Mirrored points of the mesh are mirrored points of iBUG: the mesh's numbers of a pair are in the table twice."""
    pairs = {33: 263, 133: 362, 61: 291, 78: 308, 70: 300, 107: 336, 98: 327, 97: 326, 81: 311, 178: 402}
    of = {sources: number for number, sources in enumerate(SPARSE)}
    mirrored = {36: 45, 39: 42, 48: 54, 60: 64, 17: 26, 21: 22, 31: 35, 32: 34, 61: 63, 67: 65}
    assert {of[(right,)]: of[(left,)] for right, left in pairs.items()} == mirrored


def test_a_points_confidence_is_one_half_at_a_scatter_of_a_share_of_the_face() -> None:
    points, scatter = dense()[:, :2], np.zeros(478)
    scatter[[7, 470]] = 0.015 * np.ptp(points[:468], axis=0).max()
    np.testing.assert_allclose(dense_confidence(points, scatter)[[7, 470, 8]], [0.5, 0.5, 1])


class Landmarked(CaptureSource):
    """One camera and three frames: dense landmarks, none, and a damaged file of them."""

    def __init__(self, has_dense: bool = True) -> None:
        K = np.array([[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]])
        self.cameras = [Camera("a", 80, 60, K, np.eye(3), np.zeros(3))]
        self.name = self.location = "landmarked"
        self.frames, self.label_names, self.has_dense_landmarks = ["0", "1", "2"], {}, has_dense

    def dense_landmarks(self, camera: int, frame: int) -> np.ndarray | None:
        if frame == 2:
            raise DamagedFile("landmarks/a/2.json", "holds nothing")
        return dense() if frame == 0 else None

    def landmarks(self, camera: int, frame: int) -> np.ndarray | None:
        found = self.dense_landmarks(camera, frame)
        return None if found is None else dense_to_sparse(found[:, :2], found[:, 3])


#: The picture's right half, half as large.
HALF = Framing(40, 0, 40, 60, 20, 30)


def test_views_have_the_dense_landmarks_that_are_asked_for() -> None:
    numbers = [470, 3]
    reader = ViewReader(Landmarked(), label_classes(["skin"], {}), cache_bytes=1 << 20, dense=numbers)
    batch = reader.batch([(0, 0), (1, 0), (2, 0)], [HALF])
    assert batch.dense_landmarks.shape == (3, 2, 2) and batch.dense_landmark_weight.shape == (3, 2)
    np.testing.assert_allclose(batch.dense_landmarks[0], (dense()[numbers, :2] - [40, 0]) / 2, rtol=1e-6)
    confidence = dense_confidence(dense()[:, :2], dense()[:, 3])[numbers]
    np.testing.assert_allclose(batch.dense_landmark_weight[0], confidence, rtol=1e-6)
    assert (batch.dense_landmark_weight[1:] == 0).all(), "a view without them"
    assert reader.skipped["damaged landmarks"] == ["landmarks/a/2.json: holds nothing"]


def test_reading_dense_landmarks_does_not_change_the_68() -> None:
    classes = label_classes(["skin"], {})
    with_dense, without = (
        ViewReader(Landmarked(), classes, 1 << 20, dense).batch([(0, 0)], [HALF]) for dense in ([1], [])
    )
    assert without.dense_landmarks.shape == (1, 0, 2), "nothing is kept that is not used"
    np.testing.assert_array_equal(with_dense.landmarks, without.landmarks)
    np.testing.assert_array_equal(with_dense.landmark_weight, without.landmark_weight)
