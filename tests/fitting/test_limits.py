"""Units and joints stay where the head model says they can be."""

import torch

from headfit.fitting.parameters import FitParameters
from headfit.head import load


def test_clamping_keeps_units_and_joints_in_their_range_and_leaves_the_rest():
    head = load("default")
    parameters = FitParameters(head, 2, 30.0)
    jaw = head.joint_names.index("jaw")
    with torch.no_grad():
        parameters.expression[0] = 3.0
        parameters.joints_raw[0] = 4.0
        parameters.joints_raw[1] = -4.0
        parameters.joints_raw[1, jaw] = 0.05
    parameters.clamp()
    joints = parameters.joints.detach()
    torch.testing.assert_close(joints[0], head.joint_highest)
    torch.testing.assert_close(joints[1, 0], head.joint_lowest[0])
    torch.testing.assert_close(parameters.joints_raw[1, jaw], torch.full((6,), 0.05))
    assert (parameters.expression[0] == 1.2).all() and (parameters.expression[1] == 0).all()
