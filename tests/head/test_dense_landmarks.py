"""Where MediaPipe's landmarks are on a head, and what is said of a file that is wrong about it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from headfit.assets import asset_path
from headfit.capture.landmark_schemes import SPARSE
from headfit.errors import HeadfitError
from headfit.head import HeadModel, load
from headfit.head.arrays import DENSE_LANDMARKS
from headfit.head.library import DENSE_FILE
from headfit.npz import read_npz


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


def test_most_are_known_on_the_default_head(head: HeadModel) -> None:
    count = len(head.dense_landmark_numbers)
    assert 400 < count <= 478
    rest = head.rest()
    points = head.dense_landmarks(torch.stack([rest, rest + 1]))
    assert points.shape == (2, count, 3)
    torch.testing.assert_close(points[1], points[0] + 1)
    assert (head.dense_landmark_spread > 0).all() and head.dense_landmark_spread.max() <= 0.005


def test_they_are_where_those_picked_by_hand_are(head: HeadModel) -> None:
    """Eyes and lips of iBUG, which are among them: detectors and picks differ by millimetres, not by a feature."""
    rest = head.rest()
    at = dict(zip(head.dense_landmark_numbers.tolist(), head.dense_landmarks(rest), strict=True))
    picked = head.landmarks(rest)
    apart = [(at[SPARSE[i][0]] - picked[i]).norm() for i in range(36, 68) if SPARSE[i][0] in at]
    assert len(apart) == 32 and max(apart) < 0.007


def test_irises_are_on_their_own_eyes_and_lips_on_their_own_side(head: HeadModel) -> None:
    label = [head.label_names[i] for i in head.face_labels[head.dense_landmark_faces]]
    of = dict(zip(head.dense_landmark_numbers.tolist(), label, strict=True))
    assert {of[i] for i in range(468, 473)} == {"right_eye"} and {of[i] for i in range(473, 478)} == {"left_eye"}
    assert {of[i] for i in (13, 82, 312)} == {"upper_lip"} and {of[i] for i in (14, 87, 317)} == {"lower_lip"}


def write_pair(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> Path:
    """A head next to changed dense landmarks."""
    source = asset_path("models/default")
    (folder / "head.npz").symlink_to(source / "head.npz")
    dense = read_npz(source / DENSE_FILE)
    change(dense)
    np.savez(folder / DENSE_FILE, **dense)
    return folder / "head.npz"


def put(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda dense: dense.update({f"dense_landmark_{name}": value(dense[f"dense_landmark_{name}"])})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put("numbers", lambda a: a + 200), "dense_landmark_numbers holds indices outside 0 to 477"),
        (put("numbers", lambda a: a.clip(5)), "dense_landmark_numbers holds a landmark twice"),
        (put("faces", lambda a: a - 10**6), "dense_landmark_faces holds indices outside"),
        (put("bary", lambda a: a[1:]), "dense_landmark_bary has shape"),
        (put("spread", lambda a: a * np.nan), "dense_landmark_spread contains values that are not finite"),
        (put("spread", lambda a: -a), "dense_landmark_spread holds a negative length"),
        (
            lambda dense: dense.pop("dense_landmark_spread"),
            "dense_landmark_numbers needs dense_landmark_spread as well",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Callable, complaint: str) -> None:
    path = write_pair(tmp_path, change)
    with pytest.raises(HeadfitError, match=complaint):
        load(path)


def test_a_head_may_have_none_and_is_the_same_function(tmp_path: Path, head: HeadModel) -> None:
    (tmp_path / "head.npz").symlink_to(asset_path("models/default/head.npz"))
    without = load(tmp_path / "head.npz")
    assert [len(getattr(without, name)) for name in DENSE_LANDMARKS] == [0] * 4
    assert without.dense_landmarks(without.rest()).shape == (0, 3)
    assert without.fingerprint == head.fingerprint
