"""Gaze angles: which way they turn an eye, and that they come back out of the joint."""

import torch

from headfit.head import load
from headfit.head.gaze import gaze_angles, gaze_direction, gaze_rotation, shared_gaze
from headfit.head.rotation import axis_angle_to_matrix

YAW = torch.tensor([0.0, 0.4, -0.6, 0.0, 0.3], dtype=torch.float64)
PITCH = torch.tensor([0.0, 0.0, 0.2, -0.5, 0.45], dtype=torch.float64)


def test_the_rotation_takes_the_rest_direction_to_the_gaze_without_roll():
    rotation = gaze_rotation(YAW, PITCH)
    ahead = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(axis_angle_to_matrix(rotation) @ ahead, gaze_direction(YAW, PITCH))
    assert (rotation[:, 2] == 0).all()
    yaw, pitch = gaze_angles(rotation)
    torch.testing.assert_close(yaw, YAW)
    torch.testing.assert_close(pitch, PITCH)


def test_angles_are_to_the_subjects_left_and_down_on_the_head():
    head = load("default")
    turn = gaze_rotation(torch.tensor(0.3), torch.tensor(0.2))
    rest, moved = head.rest(), head.pose(joints={"left_eye": turn.tolist()})
    eye = head.vertices_of("left_eye")
    apex = eye[rest[eye, 2].argmax()]
    shift = moved[apex] - rest[apex]
    assert shift[0] > 0.002 and shift[1] < -0.001


def test_vergence_crosses_the_lines_of_sight_and_zero_keeps_them_parallel():
    zero, deep = torch.tensor(0.0, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)
    left, right = (gaze_angles(r)[0] for r in shared_gaze(deep, zero, deep))
    torch.testing.assert_close(right - left, deep)
    assert left < deep < right, "the left eye turns right, the right eye left"
    torch.testing.assert_close(*shared_gaze(deep, deep, zero))


def test_gradients_are_those_of_finite_differences_also_at_rest():
    for yaw, pitch in ((0.3, -0.2), (0.0, 0.0)):
        inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (yaw, pitch)]
        if yaw:
            assert torch.autograd.gradcheck(gaze_rotation, inputs)
        gradient = torch.autograd.grad(gaze_rotation(*inputs)[1], inputs[0])[0]
        step = torch.tensor(1e-6, dtype=torch.float64)
        ahead, behind = (gaze_rotation(inputs[0] + s * step, inputs[1])[1] for s in (1, -1))
        torch.testing.assert_close(gradient, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)
