"""Lids and lips that should be closed leave nothing to look through."""

import numpy as np
import pytest

from headfit.head import load
from headfit.modelling.aperture import _tallest_run, lid_gap, lip_gap


@pytest.fixture(scope="module")
def posed():
    head = load("default")

    def pose(units: dict[str, float], pitch: float = 0.0) -> np.ndarray:
        eyes = dict.fromkeys(("left_eye", "right_eye"), (pitch, 0, 0))
        return head.pose(units, eyes).double().numpy()

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
