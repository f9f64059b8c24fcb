from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from headfit.capture import Camera, open_capture
from headfit.capture.lenses import OpenCVLens

DISTORTIONS = {"none": [], "radial": [-0.25, 0.15, 0, 0, 0.3], "all": [-0.2, 0.1, 0.002, -0.003, 0.05]}


def make_camera(dist: list[float]) -> Camera:
    R, _ = cv2.Rodrigues(np.array([0.2, -0.4, 0.1]))
    K = np.array([[900.0, 0, 310], [0, 880, 250], [0, 0, 1]])
    return Camera("a", 640, 480, K, R, np.array([0.05, -0.02, 1.1]), OpenCVLens.of(dist))


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.2, 0.2, (50, 3))


@pytest.mark.parametrize("dist", DISTORTIONS.values(), ids=DISTORTIONS.keys())
def test_projection_is_opencvs_shifted_to_the_corner(dist: list[float], points: np.ndarray) -> None:
    camera = make_camera(dist)
    K = camera.K.copy()
    K[:2, 2] -= 0.5  # OpenCV's origin is the first pixel's centre
    expected, _ = cv2.projectPoints(points, cv2.Rodrigues(camera.R)[0], camera.t, K, camera.lens.coefficients)
    np.testing.assert_allclose(camera.project(points), expected[:, 0] + 0.5, atol=1e-8)


def test_a_pixel_leads_back_through_the_point_it_shows(points: np.ndarray) -> None:
    camera = make_camera(DISTORTIONS["all"])
    skew = np.zeros((3, 3))
    skew[0, 1] = 5.0
    skewed = replace(camera, K=camera.K + skew)
    in_camera = skewed.to_camera(points)
    rays = skewed.rays(skewed.project(points))
    np.testing.assert_allclose(rays, in_camera / np.linalg.norm(in_camera, axis=1, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(skewed.to_pixels(rays), skewed.project(points), atol=1e-8)


def test_centre_and_direction() -> None:
    camera = make_camera(DISTORTIONS["none"])
    np.testing.assert_allclose(camera.to_camera(camera.centre), 0, atol=1e-12)
    np.testing.assert_allclose(camera.to_camera(camera.centre + 2 * camera.direction), [0, 0, 2], atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 0.3, 1 / 3, 1.0])
def test_scaled_pixels_are_the_pixels_scaled_by_the_rounded_sizes(scale: float, points: np.ndarray) -> None:
    camera = make_camera(DISTORTIONS["all"])
    small = camera.scaled(scale)
    assert (small.width, small.height) == (round(640 * scale), round(480 * scale))
    factor = [small.width / 640, small.height / 480]
    np.testing.assert_allclose(small.project(points), camera.project(points) * factor, atol=1e-9)


def test_the_real_captures_vertices_project_onto_its_landmarks(real_capture: Path) -> None:
    """The reprojection self-check of the native layout: axes, units and pixel convention."""
    capture = open_capture(real_capture)
    vertex = np.load(real_capture / "gt" / "topology.npz")["landmarks68"]
    for frame in (0, 7):
        vertices = np.load(real_capture / "gt" / f"{capture.frames[frame]}.npz")["vertices"]
        for index, camera in enumerate(capture.cameras):
            landmarks = capture.landmarks(index, frame)
            assert landmarks is not None
            error = np.abs(camera.project(vertices[vertex]) - landmarks[:, :2])
            assert error.max() < 0.002  # the files are rounded to a thousandth of a pixel
