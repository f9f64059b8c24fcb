from dataclasses import replace

import numpy as np
import pytest
import torch

from headfit.export.motion import HeadMotion
from headfit.head.rotation import axis_angle_to_matrix
from headfit.view import curves


@pytest.fixture(scope="module")
def motion(shared_model):
    motion = HeadMotion.of(shared_model)
    expression = torch.zeros_like(motion.expression)
    expression[:, 5] = torch.tensor([0.0, 0.9, 0.1])
    expression[:, 2] = torch.tensor([0.3, 0.3, 0.35])
    turns = axis_angle_to_matrix(torch.tensor([[0.0, -0.2, 0], [0, 0, 0], [0, 0.2, 0]])).double().numpy()
    return replace(
        motion, expression=expression, rotation=turns, translation=np.array([[0, 0, 0.01]] * 2 + [[0, 0, 0.04]])
    )


def test_what_moves_most_is_shown_first(motion):
    shown = curves.curves(motion, curves.MOST_ACTIVE)
    assert len(shown) == curves.ACTIVE
    names = motion.head.expression_names
    assert {names[5], names[2]} <= set(shown)
    np.testing.assert_allclose(shown[names[5]], [0, 0.9, 0.1], atol=1e-6)


def test_joints_are_in_degrees_and_millimetres(motion):
    jaw = curves.curves(motion, "joint jaw")
    np.testing.assert_allclose(jaw["turn x (deg)"], np.rad2deg([0, 0.3, 0]), rtol=1e-5)
    assert set(jaw) == {f"{what}" for a in "xyz" for what in (f"turn {a} (deg)", f"shift {a} (mm)")}


def test_the_head_is_measured_from_its_mean_pose(motion):
    head = curves.curves(motion, curves.HEAD)
    np.testing.assert_allclose(head["turn y (deg)"], np.rad2deg([-0.2, 0, 0.2]), atol=1e-4)
    np.testing.assert_allclose(head["shift z (mm)"], [-10, -10, 20], atol=1e-9)


def test_every_choice_has_a_value_in_every_frame(motion):
    for choice in curves.choices(motion):
        for values in curves.curves(motion, choice).values():
            assert values.shape == (3,) and np.isfinite(values).all()
