from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from headfit.capture import Camera, open_capture
from headfit.capture.centroids import label_centroids
from headfit.capture.lenses import PINHOLE, OpenCVLens
from headfit.capture.triangulate import triangulate
from tests.support.lenses import EquidistantFisheye

MILLIMETRE = 1e-3


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.1, 0.1, (40, 3))


@pytest.fixture
def cameras() -> list[Camera]:
    """Eight cameras on an arc, one metre away, with a strong lens."""
    rig = []
    for index, yaw in enumerate(np.deg2rad(np.linspace(-70, 70, 8))):
        centre = np.array([np.sin(yaw), 0.2 * (-1) ** index, np.cos(yaw)])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, [0.0, 1.0, 0.0]) / np.linalg.norm(np.cross(forward, [0.0, 1.0, 0.0]))
        R = np.stack([right, np.cross(forward, right), forward])
        K = np.array([[1000.0, 0, 320], [0, 1000, 240], [0, 0, 1]])
        rig.append(Camera(str(index), 640, 480, K, R, -R @ centre, OpenCVLens.of([-0.3, 0.1, 0.01, -0.01])))
    return rig


def project(cameras: list[Camera], points: np.ndarray) -> np.ndarray:
    return np.stack([camera.project(points) for camera in cameras])


def test_exact_pictures_give_exact_points(cameras: list[Camera], points: np.ndarray) -> None:
    result = triangulate(cameras, project(cameras, points))
    np.testing.assert_allclose(result.points, points, atol=1e-9)
    assert result.inliers.all() and result.residuals.max() < 1e-6


def test_one_point_has_no_point_dimension(cameras: list[Camera], points: np.ndarray) -> None:
    result = triangulate(cameras[:2], project(cameras[:2], points[0]))
    assert result.points.shape == (3,) and result.residuals.shape == result.inliers.shape == (2,)
    np.testing.assert_allclose(result.points, points[0], atol=1e-9)


def test_views_that_disagree_are_dropped(cameras: list[Camera], points: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    pixels = project(cameras, points) + generator.normal(0, 0.5, (8, 40, 2))
    wrong = np.zeros((8, 40), bool)
    for point in range(40):
        wrong[generator.choice(8, 3, replace=False), point] = True
    angle = generator.uniform(0, 2 * np.pi, wrong.sum())
    pixels[wrong] += 60 * np.stack([np.cos(angle), np.sin(angle)], -1)
    result = triangulate(cameras, pixels)
    assert np.linalg.norm(result.points - points, axis=1).max() < 2 * MILLIMETRE
    assert (result.inliers == ~wrong).mean() > 0.99
    everything = triangulate(cameras, pixels, tolerance=1e6).points
    assert np.median(np.linalg.norm(everything - points, axis=1)) > 10 * MILLIMETRE


def test_the_refined_point_has_the_least_squared_pixel_error(cameras: list[Camera], points: np.ndarray) -> None:
    # Cameras at very different distances, so that the linear equations weight them very differently.
    pinholes = [
        replace(camera, t=camera.t * [1, 1, 0.4 + 0.3 * index], lens=PINHOLE) for index, camera in enumerate(cameras)
    ]
    noisy = project(pinholes, points[:1])[:, 0] + np.random.default_rng(3).normal(0, 1, (8, 2))
    best = triangulate(pinholes, noisy, tolerance=100.0).points

    def error(point: np.ndarray) -> float:
        return float(((project(pinholes, point[None])[:, 0] - noisy) ** 2).sum())

    for axis in range(3):
        step = np.eye(3)[axis] * 0.02 * MILLIMETRE
        assert error(best) < min(error(best + step), error(best - step))


def test_weights_count_and_zero_means_absent(cameras: list[Camera], points: np.ndarray) -> None:
    pixels = project(cameras, points)
    pixels[3] = np.nan
    weights = np.ones((8, 40))
    weights[3] = 0
    result = triangulate(cameras, pixels, weights)
    np.testing.assert_allclose(result.points, points, atol=1e-9)
    assert not result.inliers[3].any() and np.isnan(result.residuals[3]).all()
    # Two pairs of views see different points; the pair with the larger weights wins.
    shifted = project(cameras[:4], points)
    shifted[2:] = project(cameras[2:4], points + 0.05)
    for heavy, expected in ((slice(0, 2), points), (slice(2, 4), points + 0.05)):
        weights = np.full((4, 40), 0.5)
        weights[heavy] = 1
        np.testing.assert_allclose(triangulate(cameras[:4], shifted, weights).points, expected, atol=1e-3)


def test_without_two_agreeing_views_there_is_no_point(cameras: list[Camera], points: np.ndarray) -> None:
    pixels = project(cameras, points)
    weights = np.zeros((8, 40))
    weights[4] = 1
    result = triangulate(cameras, pixels, weights)
    assert np.isnan(result.points).all() and not result.inliers.any()
    apart = project(cameras[:2], points)
    apart[1, :, 1] += 80  # off the epipolar lines, which are nearly horizontal
    assert np.isnan(triangulate(cameras[:2], apart).points).all()


def test_a_point_behind_the_cameras_is_no_agreement(cameras: list[Camera]) -> None:
    behind = project(cameras[3:5], np.array([[0.0, 0.0, 3.0]]))
    assert not np.isfinite(triangulate(cameras[3:5], behind).points).any()


def test_rays_at_and_beyond_ninety_degrees_off_the_axis(cameras: list[Camera], points: np.ndarray) -> None:
    """Cameras that look past the head through a lens that sees all around."""
    fisheye = EquidistantFisheye.of(())
    wide = []
    for camera, turn in zip(cameras, np.deg2rad([0, 50, 85, 90, 95, 120, -90, -100]), strict=True):
        R = cv2.Rodrigues(np.array([0, turn, 0]))[0]
        wide.append(replace(camera, R=R @ camera.R, t=R @ camera.t, lens=fisheye))
    pixels = project(wide, points)
    result = triangulate(wide, pixels)
    np.testing.assert_allclose(result.points, points, atol=1e-9)
    assert result.inliers.all()
    pixels[3] += 60
    result = triangulate(wide, pixels)
    np.testing.assert_allclose(result.points, points, atol=1e-9)
    assert not result.inliers[3].any() and result.inliers[4:].all()


def test_pixels_that_the_lens_does_not_show_are_no_observations(cameras: list[Camera], points: np.ndarray) -> None:
    folded = [replace(cameras[0], lens=OpenCVLens.of([0, 0, 0.25, 0])), *cameras[1:]]
    pixels = project(folded, points)
    pixels[0] = [320, -400]
    result = triangulate(folded, pixels)
    np.testing.assert_allclose(result.points, points, atol=1e-9)
    assert not result.inliers[0].any() and np.isnan(result.residuals[0]).all()


def test_many_views_thin_out_their_pairs(cameras: list[Camera], points: np.ndarray) -> None:
    many = cameras * 5  # 780 pairs, most of them of two places
    np.testing.assert_allclose(triangulate(many, project(many, points[:5])).points, points[:5], atol=1e-9)


def test_landmarks_of_the_real_capture(real_capture: Path) -> None:
    capture = open_capture(real_capture)
    frame = 4
    vertex = np.load(real_capture / "gt" / "topology.npz")["landmarks68"]
    truth = np.load(real_capture / "gt" / f"{capture.frames[frame]}.npz")["vertices"][vertex]
    landmarks = np.stack([capture.landmarks(camera, frame) for camera in range(8)])
    points = triangulate(capture.cameras, landmarks[..., :2], landmarks[..., 2]).points
    assert np.linalg.norm(points - truth, axis=1).max() < 0.01 * MILLIMETRE


def test_eyes_and_lips_of_the_real_capture_from_masks(real_capture: Path) -> None:
    capture = open_capture(real_capture)
    vertex = np.load(real_capture / "gt" / "topology.npz")["landmarks68"]
    for frame in (0, 5, 9):
        truth = np.load(real_capture / "gt" / f"{capture.frames[frame]}.npz")["vertices"][vertex]
        for cameras in (None, [1, 3, 5], [0, 1, 3, 4, 5, 6, 7]):
            found = label_centroids(capture, frame, cameras)
            assert set(found) == {"left_eye", "right_eye", "lips", "head"}
            for name, landmarks, bound in (
                ("right_eye", slice(36, 42), 4),
                ("left_eye", slice(42, 48), 4),
                ("lips", slice(48, 60), 6),
            ):
                error = np.linalg.norm(found[name] - truth[landmarks].mean(0)) / MILLIMETRE
                assert error < bound, f"{name} of frame {frame} by cameras {cameras}: {error:.1f} mm"
