import cv2
import numpy as np
import pytest
import torch

from headfit.capture.camera import Camera
from headfit.render import CameraBatch


def camera(dist=(0, 0, 0, 0, 0), width=64, height=48) -> Camera:
    rotation, _ = cv2.Rodrigues(np.array([0.1, -0.2, 0.05]))
    k = np.array([[80.0, 0, 31.0], [0, 82.0, 25.5], [0, 0, 1]])
    return Camera("a", width, height, k, rotation, np.array([0.02, -0.01, 1.0]), np.array(dist, float))


@pytest.mark.parametrize("dist", [(0, 0, 0, 0, 0), (-0.2, 0.05, 0.003, -0.002, 0.01)])
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
    upright = Camera("b", 64, 48, cam.K, np.eye(3), np.zeros(3), cam.dist)
    px = CameraBatch.of([upright]).project(points)[0, :, 0]
    assert (px.diff() > 0).all()


def test_projection_gradient():
    batch = CameraBatch.of([camera((-0.2, 0.05, 0.003, -0.002, 0.01))])
    batch = CameraBatch(*(x.double() if torch.is_tensor(x) else x for x in vars(batch).values()))
    points = torch.rand(1, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(batch.project, (points,))


def test_cameras_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="share one image size"):
        CameraBatch.of([camera(), camera(width=32)])


def test_centres():
    cam = camera()
    np.testing.assert_allclose(CameraBatch.of([cam]).centres()[0], cam.centre, atol=1e-6)
