"""Lids and lips that should be closed leave nothing to look through."""

import numpy as np
import pytest
import torch

from headfit.head import load
from headfit.head.closing import _tallest_run, lid_gap, lip_gap


@pytest.fixture(scope="module")
def posed():
    head = load("default")

    def pose(units: dict[str, float], pitch: float = 0.0) -> np.ndarray:
        expression, joints = torch.zeros(1, len(head.expression_names)), torch.zeros(1, len(head.joint_names), 6)
        for name, weight in units.items():
            expression[0, head.expression_names.index(name)] = weight
        for side in ("left_eye", "right_eye"):
            joints[0, head.joint_names.index(side), 0] = pitch
        with torch.no_grad():
            return head(torch.zeros(len(head.identity_basis)), expression, joints)[0].double().numpy()

    return head, pose


@pytest.mark.slow
def test_a_blink_closes_wherever_the_eye_looks(posed):
    head, pose = posed
    blink = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    for pitch in (0.0, 0.5, -0.4):
        assert lid_gap(head, pose(blink, pitch)) <= 0.0003
    assert 0.006 < lid_gap(head, pose({})) < 0.012, "an open eye, by the same measure"
    assert lid_gap(head, pose({"eyeBlinkLeft": 1.0})) > 0.006, "the worse of the two eyes"


@pytest.mark.slow
def test_lips_seal_at_rest_and_over_an_open_jaw(posed):
    head, pose = posed
    for units in ({}, {"jawOpen": 0.5, "mouthClose": 0.5}, {"jawOpen": 1.0, "mouthClose": 1.0}):
        assert lip_gap(head, pose(units)) <= 0.0002
    assert lip_gap(head, pose({"jawOpen": 0.5})) > 0.01


def test_the_tallest_run_is_unbroken():
    shown = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], bool)
    assert _tallest_run(shown) == 3
    assert _tallest_run(np.zeros((4, 3), bool)) == 0
