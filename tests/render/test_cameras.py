from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from headfit.capture.camera import Camera
from headfit.capture.lenses import OpenCVLens, make_lens
from headfit.render import CameraBatch
from tests.support.lenses import EquidistantFisheye

LENS = (-0.2, 0.05, 0.003, -0.002, 0.01)


def camera(dist=(), width=64, height=48) -> Camera:
    rotation, _ = cv2.Rodrigues(np.array([0.1, -0.2, 0.05]))
    k = np.array([[80.0, 0, 31.0], [0, 82.0, 25.5], [0, 0, 1]])
    return Camera("a", width, height, k, rotation, np.array([0.02, -0.01, 1.0]), OpenCVLens.of(dist))


@pytest.mark.parametrize("dist", [(), LENS])
def test_projection_agrees_with_the_capture_camera(dist):
    cam = camera(dist)
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (50, 3))
    v_pix = CameraBatch.of([cam]).project(torch.tensor(points[None], dtype=torch.float32))[0]
    np.testing.assert_allclose(v_pix[:, :2], cam.project(points), atol=1e-4)
    np.testing.assert_allclose(v_pix[:, 2], cam.to_camera(points)[:, 2], atol=1e-6)


def test_strong_distortion_does_not_fold_far_points_back_into_the_picture():
    cam = camera((-0.5, 0, 0, 0, 0))  # r (1 - r2/2) peaks at r = 0.82
    x = torch.linspace(0, 3, 50)
    points = torch.stack([x, torch.zeros(50), torch.ones(50)], -1)[None]
    upright = Camera("b", 64, 48, cam.K, np.eye(3), np.zeros(3), cam.lens)
    px = CameraBatch.of([upright]).project(points)[0, :, 0]
    assert (px.diff() > 0).all()


def test_projection_equals_the_capture_cameras_in_float64():
    """Each camera of a batch keeps its own lens, the one without distortion as well."""
    cameras = [camera(dist) for dist in (LENS, (), (-0.5, 0, 0.01, 0.02, 0))]
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (3, 50, 3))  # some beyond the last lens's fold
    v_pix = CameraBatch.of(cameras, dtype=torch.float64).project(torch.tensor(points))
    for index, cam in enumerate(cameras):
        np.testing.assert_allclose(v_pix[index, :, :2], cam.project(points[index]), rtol=1e-12)
    some = CameraBatch.of(cameras, dtype=torch.float64)[torch.tensor([2, 0])].project(torch.tensor(points[[2, 0]]))
    assert torch.equal(some, v_pix[[2, 0]])


@pytest.mark.parametrize("dist", [(), LENS])
@pytest.mark.parametrize("axis", range(3), ids="xyz")
def test_projection_gradient_along_each_axis(dist, axis):
    batch = CameraBatch.of([camera(dist)], dtype=torch.float64)
    points = torch.rand(1, 4, 3, dtype=torch.float64) * 0.3
    moved = torch.eye(3, dtype=torch.float64)[axis]
    along = torch.zeros(1, 4, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: batch.project(points + s * moved), (along,))


def test_cameras_with_lenses_of_several_models_share_a_batch():
    fisheye = replace(camera(), lens=EquidistantFisheye.of(()))
    cameras = [camera(LENS), fisheye, camera()]
    points = np.random.default_rng(0).uniform(-2, 2, (1, 50, 3))
    points = points[:, fisheye.to_camera(points)[0, :, 2] > 0.01]  # up to nearly 90 degrees off the axis
    batch = CameraBatch.of(cameras, dtype=torch.float64)
    v_pix = batch.project(torch.tensor(points).expand(3, -1, -1))
    for index, cam in enumerate(cameras):
        np.testing.assert_allclose(v_pix[index, :, :2], cam.project(points[0]), rtol=1e-12)
    some = batch[torch.tensor([1, 0])].project(torch.tensor(points).expand(2, -1, -1))
    assert torch.equal(some, v_pix[[1, 0]])


def test_every_lens_model_and_skew_in_one_batch():
    """Values and gradients are those of each camera by itself."""
    tilted = [*LENS, 0.1, -0.02, 0.01, 0.002, -0.001, 0.001, 0.0005, 0.02, -0.01]
    lenses = [OpenCVLens.of(()), OpenCVLens.of(LENS), OpenCVLens.of(tilted[:8]), OpenCVLens.of(tilted)]
    lenses.append(make_lens("fisheye", [-0.02, 0.01, -0.003, 0.001]))
    skew = np.array([[0, 3.0, 0], [0, 0, 0], [0, 0, 0]])
    cameras = [replace(camera(), lens=lens, K=camera().K + skew) for lens in lenses]
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (len(cameras), 2, 3))
    batch = CameraBatch.of(cameras, dtype=torch.float64)
    for index, cam in enumerate(cameras):
        v_pix = batch.project(torch.tensor(points))[index]
        np.testing.assert_allclose(v_pix[:, :2], cam.project(points[index]), rtol=1e-12)
    assert torch.autograd.gradcheck(batch.project, (torch.tensor(points, requires_grad=True),))


def test_cameras_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="share one image size"):
        CameraBatch.of([camera(), camera(width=32)])


def test_centres():
    cam = camera()
    np.testing.assert_allclose(CameraBatch.of([cam]).centres()[0], cam.centre, atol=1e-6)
