"""Landmarks of one view, corrected by all views."""

from dataclasses import replace

import numpy as np
import pytest

from headfit.capture.camera import Camera
from headfit.prepare.agreement import agreed_landmarks
from headfit.prepare.masks import CONTOURS
from tests.support.rigs import SIZE, face_landmarks, face_points, rig_around

VIEWS = 6
POINTS = sorted(set(CONTOURS))


@pytest.fixture
def cameras() -> list[Camera]:
    rig = rig_around(VIEWS)
    K = [np.array([[f, 0, x], [0, f, y], [0, 0, 1]]) for f, (x, y) in zip(rig.focal, rig.principal, strict=True)]
    return [Camera(str(v), *SIZE.astype(int).tolist(), K[v], rig.R[v], rig.t[v]) for v in range(VIEWS)]


@pytest.fixture
def landmarks() -> np.ndarray:
    return face_landmarks(rig_around(VIEWS), 2, bias=0.0, rng=np.random.default_rng(0))


def test_a_view_that_is_off_is_corrected_and_says_by_how_much(cameras, landmarks) -> None:
    landmarks[0, 0, :, 0] += 12
    found = agreed_landmarks(cameras, landmarks, POINTS)
    np.testing.assert_allclose(found[0, 0, POINTS, :2], cameras[0].project(face_points()[POINTS]), atol=1.2)
    np.testing.assert_allclose(found[0, 0, POINTS, 3], 12, atol=1.5)
    assert np.median(found[1:, 0, POINTS, 3]) < 1
    others = np.setdiff1d(np.arange(478), POINTS)
    np.testing.assert_array_equal(found[:, :, others], landmarks[:, :, others])


def test_a_view_without_a_face_gets_the_points_in_infinite_doubt(cameras, landmarks) -> None:
    landmarks[2, 1] = np.nan
    found = agreed_landmarks(cameras, landmarks, POINTS)
    other = np.delete(found, 2, axis=0)
    assert np.isfinite(found[2, 1, POINTS, :2]).all() and np.isposinf(found[2, 1, POINTS, 3]).all()
    assert np.isfinite(other).all()


def test_two_views_and_cameras_without_a_pose_correct_nothing(cameras, landmarks) -> None:
    landmarks[2:, 0] = np.nan
    np.testing.assert_array_equal(agreed_landmarks(cameras, landmarks, POINTS)[:, 0], landmarks[:, 0])
    lost = [None, *cameras[1:]]
    found = agreed_landmarks(lost, landmarks, POINTS)
    np.testing.assert_array_equal(found[0], landmarks[0])
    assert not np.array_equal(found[1, 1], landmarks[1, 1])


def test_a_frame_without_any_face_stays_unknown(cameras, landmarks) -> None:
    landmarks[:, 0] = np.nan
    assert np.isnan(agreed_landmarks(cameras, landmarks, POINTS)[:, 0]).all()


def test_a_camera_that_looks_away_gets_no_points(cameras, landmarks) -> None:
    away = np.diag([-1.0, 1.0, -1.0])
    cameras[2] = replace(cameras[2], R=away @ cameras[2].R, t=away @ cameras[2].t)
    landmarks[2] = np.nan
    assert np.isnan(agreed_landmarks(cameras, landmarks, POINTS)[2]).all()
