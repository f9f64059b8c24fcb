"""Files of MediaPipe's 478 landmarks, and the 68 of iBUG among them."""

import json
from pathlib import Path

import numpy as np
import pytest

from headfit.capture.decode import DamagedFile
from headfit.capture.landmark_files import read_dense_landmarks, read_landmarks, write_dense_landmarks, write_landmarks
from headfit.capture.landmark_schemes import SPARSE, dense_to_sparse


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
