"""Bundle adjustment of a static rig."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from headfit.prepare.bundle import LOCAL, Rig, Tracks, adjust, jacobians
from headfit.prepare.landmark_tracks import triangulated
from tests.support.rigs import observed, rig_around, turned


def test_jacobians_are_those_of_finite_differences() -> None:
    rig, rng = rig_around(3), np.random.default_rng(0)
    points, views = rng.normal(size=(6, 3)) * 0.1, np.array([0, 1, 2, 0, 1, 2])
    by_camera, by_point = jacobians(rig, views, points)
    step = 1e-6
    for local in range(LOCAL):
        difference = [rig_moved(rig, local, sign * step).project(views, points) for sign in (1, -1)]
        np.testing.assert_allclose(by_camera[..., local], (difference[0] - difference[1]) / (2 * step), atol=1e-3)
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        difference = rig.project(views, points + shift) - rig.project(views, points - shift)
        np.testing.assert_allclose(by_point[..., axis], difference / (2 * step), atol=1e-3)


def rig_moved(rig: Rig, local: int, step: float) -> Rig:
    vector = np.zeros(3)
    vector[local % 3] = step
    if local < 3:
        return replace(rig, R=cv2.Rodrigues(vector)[0] @ rig.R)
    if local < 6:
        return replace(rig, t=rig.t + vector)
    return replace(rig, focal=rig.focal * np.exp(step))


@pytest.mark.parametrize("shared", [True, False])
def test_it_finds_the_rig_again_in_spite_of_outliers(shared: bool) -> None:
    rng = np.random.default_rng(1)
    true = rig_around(5)
    if not shared:
        true = replace(true, focal=true.focal * rng.uniform(0.9, 1.1, 5))
    points = rng.normal(size=(150, 3)) * 0.08
    tracks = observed(true, points, noise=0.2, rng=rng)
    wrong = rng.random(len(tracks.view)) < 0.1
    tracks.pixels[wrong] += rng.normal(size=(wrong.sum(), 2)) * 60
    start = turned(replace(true, focal=np.full(5, 1.3 * true.focal.mean())), 3.0, rng)
    rig, _, errors = adjust(start, triangulated(start, tracks), tracks, shared, steps=200)
    assert np.median(errors[~wrong]) < 0.3
    np.testing.assert_allclose(rig.focal, true.focal, rtol=0.03)
    # Between the cameras, since the world's axes are free.
    relative, expected = rig.R[1:] @ rig.R[0].T, true.R[1:] @ true.R[0].T
    angles = [np.degrees(np.linalg.norm(cv2.Rodrigues(a @ b.T)[0])) for a, b in zip(relative, expected, strict=True)]
    assert max(angles) < 0.5


def test_chosen_observations_keep_their_points_in_order() -> None:
    tracks = Tracks(np.array([0, 1, 0, 1]), np.array([0, 0, 2, 2]), np.arange(8.0).reshape(4, 2), np.ones(4))
    chosen = tracks.only(np.array([False, False, True, True]))
    assert chosen.point.tolist() == [0, 0] and chosen.count == 1
    np.testing.assert_array_equal(chosen.pixels, tracks.pixels[2:])


def test_a_shared_focal_length_stays_shared() -> None:
    rng = np.random.default_rng(2)
    true = rig_around(3)
    tracks = observed(true, rng.normal(size=(40, 3)) * 0.08, noise=0.1, rng=rng)
    rig, _, _ = adjust(true, triangulated(true, tracks), tracks, shared_focal=True, steps=5)
    assert np.ptp(rig.focal) < 1e-9
