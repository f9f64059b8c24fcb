"""Regions are located from masks though one view's labels are wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from headfit.capture.camera import Camera
from headfit.capture.centroids import label_centroids

EYE, SKIN = 1, 2


def capture(wrong: bool) -> SimpleNamespace:
    """Four cameras that show an eye of 4 x 4 pixels at the origin; in a wrong mask, the cheek beside is the eye too."""
    angles = np.radians([-30, -10, 10, 30])
    cameras, masks = [], []
    for index, (sin, cos) in enumerate(zip(np.sin(angles), np.cos(angles), strict=True)):
        K, R = np.array([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]]), np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        cameras.append(Camera(str(index), 64, 64, K, R, np.array([0.0, 0, 1])))
        mask = np.zeros((64, 64), np.uint8)
        mask[30:34, 30:34] = EYE
        masks.append(mask)
    if wrong:
        masks[2][40:60, 30:60] = EYE
    return SimpleNamespace(cameras=cameras, label_names={EYE: "left_eye", SKIN: "skin"}, mask=lambda c, f: masks[c])


@pytest.mark.parametrize("wrong", [False, True])
def test_a_view_with_a_far_larger_region_does_not_outweigh_the_others(wrong: bool) -> None:
    found = label_centroids(capture(wrong), 0)
    np.testing.assert_allclose(found["left_eye"], 0, atol=1e-3)
