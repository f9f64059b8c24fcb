"""Corrections of cameras: exact at zero, right derivatives, and without what would only move the head."""

import cv2
import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.fitting.camera_correction import USUAL_ERROR, CameraCorrection
from headfit.render import CameraBatch


def rig() -> list[Camera]:
    """Three cameras that look at a point a metre away, from different sides."""
    K = np.array([[900.0, 0, 190], [0, 900.0, 260], [0, 0, 1]])
    cameras = []
    for i, yaw in enumerate((-0.6, 0.1, 0.7)):
        R = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        cameras.append(Camera(f"cam{i}", 384, 512, K, R, np.array([0.01, 0.02, 1.0])))
    return cameras


POINTS = torch.tensor(np.random.default_rng(0).normal(0, 0.08, (1, 20, 3))).expand(3, -1, -1)


def projected(correction: CameraCorrection, cameras: list[Camera]) -> torch.Tensor:
    batch = CameraBatch.of(cameras, dtype=torch.float64)
    return correction(batch, torch.arange(len(cameras))).project(POINTS)


def test_without_corrections_the_cameras_keep_their_bits():
    cameras = rig()
    batch = CameraBatch.of(cameras)
    same = CameraCorrection(cameras, [0, 1, 2])(batch, torch.arange(3))
    for name in ("K", "R", "t"):
        assert torch.equal(getattr(same, name), getattr(batch, name))


@pytest.mark.parametrize("column", range(len(USUAL_ERROR)))
def test_derivatives_are_those_of_finite_differences(column):
    cameras = rig()
    correction = CameraCorrection(cameras, [0, 1, 2]).double()
    correction.values.data = torch.tensor(np.random.default_rng(1).normal(0, 1, (3, len(USUAL_ERROR))))
    weight = torch.tensor(np.random.default_rng(2).normal(0, 1, (3, 20, 3)))
    for camera in range(3):
        correction.values.grad = None
        (projected(correction, cameras) * weight).sum().backward()
        analytic = correction.values.grad[camera, column].item()
        ends = []
        for step in (1e-3, -1e-3):
            correction.values.data[camera, column] += step
            ends.append((projected(correction, cameras) * weight).sum().item())
            correction.values.data[camera, column] -= step
        assert analytic == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-5, abs=1e-7)
        assert analytic != 0


@pytest.mark.parametrize("column", range(7))
def test_a_rotation_a_shift_and_a_zoom_that_all_cameras_share_are_taken_off(column):
    cameras = rig()
    correction = CameraCorrection(cameras, [0, 1, 2]).double()
    before = projected(correction, cameras)
    correction.values.data[:, column] += 2.0
    torch.testing.assert_close(projected(correction, cameras), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", range(3))
def test_principal_points_that_only_move_the_head_are_taken_off(axis):
    """A millimetre along a world axis, as shifts of the principal points."""
    cameras = rig()
    correction = CameraCorrection(cameras, [0, 1, 2]).double()
    before = projected(correction, cameras)
    for row, camera in zip(correction.values.data, cameras, strict=True):
        row[7:] += torch.tensor(1e-3 * camera.R[:2, axis]) / USUAL_ERROR[7]
    common = torch.einsum("gcp,cp->g", correction.to_common.double(), correction.values)
    expected = 1e-3 * torch.eye(3, dtype=torch.float64)[axis]
    torch.testing.assert_close(common[:3].detach(), expected, rtol=0, atol=1.5e-4)  # they show no change of size
    moved = (projected(correction, cameras) - before)[..., :2].norm(dim=-1)
    assert moved.max() < 0.25, "0.9 pixels were put in"


@pytest.mark.parametrize("degrees", [0.0, 0.5, 2.0, 8.0])
def test_cameras_that_look_nearly_the_same_way_make_no_small_value_large(degrees):
    """Taken literally, principal points that converge by half a thousandth move the head by centimetres there."""
    R = [cv2.Rodrigues(np.radians([0.0, degrees * i, 0.0]))[0] for i in range(2)]
    K = rig()[0].K
    cameras = [Camera(str(i), 384, 512, K, R[i], np.array([0.06 * i, 0.0, 1.0 + 0.001 * i])) for i in range(2)]
    correction = CameraCorrection(cameras, [0, 1])
    for value in correction.values.data.view(-1):
        value.fill_(1.0)
        assert correction.relative().norm() < 2
        value.fill_(0.0)


def test_nothing_common_is_left():
    correction = CameraCorrection(rig(), [0, 1, 2]).double()
    correction.values.data = torch.tensor(np.random.default_rng(1).normal(0, 1, (3, len(USUAL_ERROR))))
    left = torch.einsum("gcp,cp->g", correction.to_common.double(), correction.relative())
    torch.testing.assert_close(left.detach(), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-9)


def test_a_held_out_camera_keeps_its_calibration():
    cameras = rig()
    correction = CameraCorrection(cameras, [0, 2]).double()
    correction.values.data = torch.tensor(np.random.default_rng(1).normal(0, 1, (3, len(USUAL_ERROR))))
    moved = projected(correction, cameras) - projected(CameraCorrection(cameras, [0, 2]), cameras)
    assert (moved[1] == 0).all() and (moved[[0, 2]].abs().amax((1, 2)) > 0.1).all()


def test_a_single_camera_keeps_its_calibration():
    cameras = rig()
    correction = CameraCorrection(cameras, [1])
    correction.values.data += 1.0
    assert correction.relative().abs().max() == 0


def test_the_corrected_cameras_are_those_of_the_fit():
    cameras = rig()
    correction = CameraCorrection(cameras, [0, 1, 2])
    correction.values.data = torch.tensor(
        np.random.default_rng(1).normal(0, 1, (3, len(USUAL_ERROR))), dtype=torch.float32
    )
    in_fit = correction(CameraBatch.of(cameras, dtype=torch.float64), torch.arange(3)).project(POINTS)[..., :2]
    for camera, expected in zip(correction.corrected(cameras), in_fit, strict=True):
        np.testing.assert_allclose(camera.project(POINTS[0].numpy()), expected.detach().numpy(), atol=1e-9)
