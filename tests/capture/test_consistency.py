"""Captures whose evidence contradicts itself: the true cause is named, and what is merely odd is not refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from headfit.capture.camera import Camera
from headfit.capture.consistency import compare_evidence, require_consistent
from headfit.errors import HeadfitError
from tests.support.faces import FaceCapture, posed

FLIP = np.diag([1.0, -1.0, -1.0])


def intrinsics(change: Callable[[np.ndarray, Camera], np.ndarray]) -> Callable[[Camera], Camera]:
    return lambda camera: replace(camera, K=change(camera.K, camera))


def moved(x: float, y: float) -> Callable[[Camera], Camera]:
    """The principal point moved by x, y pixels."""
    return intrinsics(lambda K, c: K + np.array([[0, 0, x], [0, 0, y], [0, 0, 0]]))


#: What is written down wrongly, and words of the reading that mends it.
MIX_UPS: dict[str, tuple[Callable[[Camera], Camera], str]] = {
    "transposed": (lambda c: posed(c, c.R.T, c.t), "R transposed"),
    "camera to world": (lambda c: posed(c, c.R.T, -c.R.T @ c.t), "as camera-to-world they"),
    "centre": (lambda c: posed(c, c.R, -c.R.T @ c.t), "with t as the camera's centre"),
    "OpenGL": (lambda c: posed(c, FLIP @ c.R, FLIP @ c.t), r"with OpenGL axes \(y up, z backward\) they"),
    "OpenGL c2w": (lambda c: posed(c, c.R.T @ FLIP, -c.R.T @ c.t), "camera-to-world with OpenGL axes"),
    "K x2": (intrinsics(lambda K, c: np.diag([2, 2, 1]) @ K), "K of a picture twice as large"),
    "K x0.5": (intrinsics(lambda K, c: np.diag([0.5, 0.5, 1]) @ K), "K of a picture half as large"),
    "K x1.5": (intrinsics(lambda K, c: np.diag([1.5, 1.5, 1]) @ K), "another size"),
    "half a picture": (lambda c: moved(-c.width / 2, -c.height / 2)(c), "moved by half the width and height"),
    "cx, cy swapped": (intrinsics(lambda K, c: K[:, [0, 1, 2]] + _swap(K)), "cx and cy swapped"),
}


def _swap(K: np.ndarray) -> np.ndarray:
    change = np.zeros((3, 3))
    change[:2, 2] = K[[1, 0], 2] - K[:2, 2]
    return change


def agreed(sentence: str) -> float:
    """The pixels to which the views agree under the named reading."""
    (value,) = re.findall(r"agrees? to ([\d.e-]+) px", sentence)
    return float(value)


@pytest.mark.parametrize("kinds", ["landmarks", "masks"])
@pytest.mark.parametrize("case", MIX_UPS)
def test_the_reading_that_fits_is_named_and_mends_the_cameras(case: str, kinds: str) -> None:
    change, words = MIX_UPS[case]
    capture = FaceCapture(kinds).given(change)
    findings = compare_evidence(capture)
    (error,) = findings.errors
    assert re.search(words, error), error
    if case == "K x1.5":  # the middle of the picture stands for the unknown principal point
        assert agreed(error) < 1.5
        return
    assert agreed(error) < (0.02 if kinds == "landmarks" else 0.2)
    assert findings.fixed is not None
    for fixed, true in zip(findings.fixed, capture.true, strict=True):
        np.testing.assert_allclose(np.c_[fixed.K, fixed.R, fixed.t], np.c_[true.K, true.R, true.t], atol=1e-9)


def test_a_fit_is_refused_with_the_same_sentence() -> None:
    capture = FaceCapture().given(MIX_UPS["camera to world"][0])
    (error,) = compare_evidence(capture).errors
    with pytest.raises(HeadfitError, match="--fix") as refused:
        require_consistent(capture)
    assert error in str(refused.value)
    assert re.search(r"the views (disagree by \d+ px|see no point in front)", error)


@pytest.mark.parametrize("change", [MIX_UPS["camera to world"], MIX_UPS["OpenGL"]])
def test_matched_features_tell_where_there_is_nothing_else(change) -> None:
    rig = {"count": 3, "width": 256, "height": 256, "spread": 20.0}
    assert compare_evidence(FaceCapture("images", frames=1, **rig), thorough=True).errors == []
    (error,) = compare_evidence(FaceCapture("images", frames=1, **rig).given(change[0]), thorough=True).errors
    assert re.search(change[1], error) and "matched features" in error


def test_a_perfect_orbit_with_r_transposed_is_seen_by_the_mirrored_face() -> None:
    capture = FaceCapture("landmarks", count=3)
    quarter = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    for index, (camera, yaw) in enumerate(zip(capture.true, np.deg2rad([-40, 0, 40]), strict=True)):
        R = FLIP @ [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]] @ quarter
        capture.true[index] = posed(camera, R, np.array([0, 0, 30.0]))
    capture.true = [intrinsics(lambda K, c: K * [[30, 1, 1], [1, 30, 1], [1, 1, 1]])(c) for c in capture.true]
    capture.cameras = list(capture.true)
    assert compare_evidence(capture).errors == []
    (error,) = compare_evidence(capture.given(MIX_UPS["transposed"][0])).errors
    assert "R transposed" in error


@pytest.mark.parametrize("factor", [100.0, 1000.0, 0.001])
def test_wrong_units_are_warned_of_and_mended(factor: float) -> None:
    findings = compare_evidence(FaceCapture().given(lambda c: posed(c, c.R, factor * c.t)))
    (warning,) = findings.warnings
    assert findings.errors == [] and "unit" in warning and findings.unit == pytest.approx(1 / factor)


def test_half_a_pixel_is_a_warning_of_the_thorough_comparison_only() -> None:
    capture = FaceCapture("landmarks", count=6).given(moved(0.5, 0.5))
    assert require_consistent(capture) == []
    findings = compare_evidence(capture, thorough=True)
    assert findings.errors == []
    assert any("half a pixel taken from cx and cy" in warning for warning in findings.warnings)


def test_one_camera_in_another_convention_is_named() -> None:
    findings = compare_evidence(FaceCapture("landmarks", count=5).given(MIX_UPS["camera to world"][0], 1))
    (error,) = findings.errors
    assert error.startswith("camera cam01: ") and "as camera-to-world" in error and agreed(error) < 0.02


def test_one_camera_a_frame_late_is_named() -> None:
    capture = FaceCapture("landmarks", count=4, frames=5)
    capture.late = {2: 1}
    warnings = compare_evidence(capture, thorough=True).warnings
    assert any(w.startswith("camera cam02: ") and "one frame late" in w for w in warnings)
    assert not any(w.startswith(("camera cam00", "camera cam01", "camera cam03")) and "late" in w for w in warnings)


@pytest.mark.parametrize("kinds", ["landmarks", "masks landmarks"])
def test_landmarks_as_shares_of_the_picture_are_named(kinds: str) -> None:
    capture = FaceCapture(kinds)
    capture.landmark_change = lambda points, camera: points / capture.true[camera].size
    with pytest.raises(HeadfitError, match="look normalised: all within 1 pixel; multiply by the picture size"):
        require_consistent(capture)


@pytest.mark.parametrize("factor", [2.0, 0.5, 0.25])
def test_landmarks_of_another_picture_size_are_told_from_a_wrong_k(factor: float) -> None:
    for kinds in ("landmarks", "masks landmarks"):
        capture = FaceCapture(kinds)
        capture.landmark_change = lambda points, camera: points * factor
        findings = compare_evidence(capture)
        assert findings.fixed is None
        assert any("landmarks" in e and ("in a picture" in e or "outside" in e) for e in findings.errors), kinds


def test_landmarks_of_one_camera_that_contradict_its_masks_are_warned_of() -> None:
    capture = FaceCapture(count=5)
    capture.landmark_change = lambda points, camera: points + np.array([35.0, 40.0]) if camera == 3 else points
    findings = compare_evidence(capture)
    assert any("cam03 contradict the masks" in warning for warning in findings.warnings)
    assert not any("cam00" in entry or "cam04" in entry for entry in findings.errors + findings.warnings)


def test_left_and_right_swapped_and_points_in_another_order() -> None:
    capture = FaceCapture("landmarks")
    swap = [3, 2, 1, 0, 4, 5, 6, 10, 9, 8, 7, 13, 12, 11, 14]
    capture.landmark_change = lambda points, camera: points[swap]
    assert ["mirrored" in e for e in compare_evidence(capture).errors] == [True]
    order = np.random.default_rng(2).permutation(15)
    capture.landmark_change = lambda points, camera: points[order]
    assert ["no face" in e for e in compare_evidence(capture).errors] == [True]


@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize("rig", [{"count": 2, "spread": 25.0}, {"count": 4}, {"count": 8, "width": 192}])
def test_a_right_rig_is_not_complained_of(rig: dict, noise: float) -> None:
    for kinds in ("masks landmarks", "landmarks", "masks"):
        findings = compare_evidence(FaceCapture(kinds, noise=noise, **rig), thorough=True)
        assert (findings.errors, findings.warnings) == ([], []), kinds


def test_odd_but_right_rigs_are_not_refused() -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    rolled = FaceCapture()
    rolled.true = [
        replace(
            posed(c, turn @ c.R, turn @ c.t),
            width=c.height,
            height=c.width,
            K=np.array([[c.K[1, 1], 0, c.height - c.K[1, 2]], [0, c.K[0, 0], c.K[0, 2]], [0, 0, 1]]),
        )
        for c in rolled.true
    ]
    rolled.cameras = list(rolled.true)
    cut = FaceCapture()
    cut.true = [replace(moved(-40, 0)(c), width=c.width - 40) for c in cut.true]
    cut.cameras = list(cut.true)
    for capture in (rolled, cut, FaceCapture(count=1)):
        assert require_consistent(capture) == []


def test_what_cannot_be_judged_is_said() -> None:
    assert any("one camera" in line for line in compare_evidence(FaceCapture(count=1)).lines)
    assert any("cannot be judged" in line for line in compare_evidence(FaceCapture("")).lines)


def test_all_readings_change_a_camera_differently() -> None:
    """A copy in the table would name the wrong cause."""
    from headfit.capture.conventions import INTRINSICS, POSES

    camera = posed(FaceCapture().true[0], FaceCapture().true[0].R, np.array([0.1, 0.2, 1.3]))
    changed = [r.change(camera) for r in (*POSES, *INTRINSICS)]
    rows = sorted(tuple(np.r_[c.K.ravel(), c.R.ravel(), c.t].round(9)) for c in changed if c is not None)
    assert all(a != b for a, b in pairwise(rows))
