"""A rig is found from pictures of a face: biased landmarks first, then features."""

import cv2
import numpy as np
import pytest

from headfit.errors import HeadfitError
from headfit.prepare.bundle import Rig
from headfit.prepare.calibrate import calibrate
from headfit.prepare.features import Features, detect, feature_tracks, guided_matches
from headfit.prepare.landmark_tracks import facing
from headfit.prepare.scale import find_scale
from tests.support.rigs import SIZE, face_landmarks, face_points, rig_around

VIEWS, FRAMES, SPOTS = 5, 3, 250


def spots(rig: Rig, rng: np.random.Generator) -> list[list[Features]]:
    """Features `[V][F]` of spots on an egg-shaped head that face the camera; each looks different in every frame."""
    normals = rng.normal(size=(SPOTS, 3))
    normals[:, 2] = -np.abs(normals[:, 2])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = normals * [0.07, 0.09, 0.08]
    looks = np.abs(rng.normal(size=(FRAMES, SPOTS, 128)))
    seen: list[list[Features]] = []
    for view in range(VIEWS):
        seen.append([])
        for frame in range(FRAMES):
            turn = cv2.Rodrigues(np.array([0.03 * frame, 0.02 * frame, 0.0]))[0]
            shown = np.flatnonzero((normals @ turn.T @ rig.R[view].T)[:, 2] < -0.3)
            pixels = rig.project(np.full(len(shown), view), (points @ turn.T)[shown])
            noisy = looks[frame, shown] + 0.3 * np.abs(rng.normal(size=(len(shown), 128)))
            noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
            pixels = pixels + 0.2 * rng.normal(size=pixels.shape)
            seen[-1].append(Features(pixels, noisy.astype(np.float32)))
    return seen


def degrees_between(found: Rig, true: Rig) -> np.ndarray:
    """Errors of the rotations from the first camera to the others."""
    errors = (found.R[1:] @ found.R[0].T) @ (true.R[1:] @ true.R[0].T).transpose(0, 2, 1)
    return np.degrees([np.linalg.norm(cv2.Rodrigues(error)[0]) for error in errors])


@pytest.mark.slow
def test_features_correct_what_landmarks_get_wrong_and_the_scale_is_that_of_eyes() -> None:
    rng = np.random.default_rng(0)
    true = rig_around(VIEWS)
    landmarks = face_landmarks(true, FRAMES, bias=0.1, rng=rng)
    features = spots(true, rng)
    found = calibrate(landmarks, np.tile(SIZE, (VIEWS, 1)), lambda view, frame: features[view][frame])
    assert not found.missing and np.nanmax(found.error) < 0.5
    assert degrees_between(found.rig, true).max() < 0.7
    scale = find_scale(found.rig, face_landmarks(true, FRAMES, bias=0.0, rng=rng))
    distance = np.linalg.norm(found.rig.t, axis=1).mean() * scale.metres * true.focal.mean() / found.rig.focal.mean()
    assert distance == pytest.approx(1.0, rel=0.05)
    assert 0.02 < scale.doubt < 0.12


def test_a_measured_distance_of_the_eyes_decides() -> None:
    rng = np.random.default_rng(0)
    rig = rig_around(VIEWS)
    scale = find_scale(rig, face_landmarks(rig, FRAMES, bias=0.0, rng=rng), eye_distance=0.07)
    assert scale.metres == pytest.approx(70 / 63, rel=0.01)


@pytest.mark.slow
def test_without_features_it_says_so() -> None:
    landmarks = face_landmarks(rig_around(VIEWS), FRAMES, bias=0.0, rng=np.random.default_rng(0))
    none = Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    with pytest.raises(HeadfitError, match="share only 0 features"):
        calibrate(landmarks, np.tile(SIZE, (VIEWS, 1)), lambda view, frame: none)


def test_without_faces_it_says_so() -> None:
    landmarks = np.full((2, FRAMES, 478, 4), np.nan)
    with pytest.raises(HeadfitError, match="no frame in which two cameras find the face"):
        calibrate(landmarks, np.tile(SIZE, (2, 1)), lambda view, frame: pytest.fail("no features are needed"))


def test_only_features_near_the_epipolar_line_match() -> None:
    rng = np.random.default_rng(0)
    rig = rig_around(2)
    point = np.zeros((1, 3))
    ends = [rig.project(np.array([view]), point) for view in range(2)]
    look = np.ones((1, 128), np.float32) / 128**0.5
    other = rng.normal(size=(1, 128)).astype(np.float32)
    other /= np.linalg.norm(other)
    first = Features(ends[0], look)
    # The same look 40 pixels below the epipolar line, a different one on it.
    second = Features(np.concatenate([ends[1] + [0, 40], ends[1]]), np.concatenate([look, other]))
    ball = (np.zeros(3), 0.1)
    assert guided_matches(rig, 0, 1, first, second, ball, band=5).tolist() == [[0, 1]]
    assert guided_matches(rig, 0, 1, first, second, ball, band=60).tolist() == [[0, 0]]


def test_tracks_pass_through_views() -> None:
    rng = np.random.default_rng(0)
    rig = rig_around(VIEWS)
    tracks = feature_tracks(rig, spots(rig, rng), [(np.zeros(3), 0.12)] * FRAMES, band=4)
    lengths = np.bincount(tracks.point)
    assert tracks.count > 300 and (lengths >= 3).mean() > 0.5


def test_a_side_of_the_face_that_is_turned_away_does_not_face_the_camera() -> None:
    turned = face_points() @ cv2.Rodrigues(np.array([0, np.radians(60), 0]))[0].T
    seen = facing(np.stack([face_points(), turned, np.full((478, 3), np.nan)]) * 1000)
    hidden = face_points()[:, 0] < -0.05
    assert seen[0].mean() > 0.7 and seen[1][hidden].mean() < 0.3 and not seen[2].any()


def test_features_are_where_the_picture_has_them() -> None:
    image = np.full((120, 120, 3), 128, np.uint8)
    image[57:63, 37:43] = 255
    found = detect(image)
    assert np.linalg.norm(found.pixels - [40, 60], axis=1).min() < 0.3
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-3)
