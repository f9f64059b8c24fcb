from dataclasses import replace

import numpy as np
import pytest

from headfit.capture.observations import Observations
from headfit.view import evidence
from headfit.view.evidence import Evidence
from tests.support.made_run import looking_at_the_head

CENTRES = [(0.0, 0.0, 0.8), (0.5, 0.1, 0.6), (-0.5, 0.1, 0.6), (0.2, 0.4, 0.7)]
CAMERAS = [looking_at_the_head(centre, f"cam{index}") for index, centre in enumerate(CENTRES)]
POINTS = np.array([[0.02, 0.01, 0.03], [-0.03, 0.02, 0.0], [0.0, -0.04, 0.02]])


class Landmarks:
    """A capture whose landmarks are true, but in one camera 6 pixels too far right."""

    cameras = CAMERAS
    frames = ("a",)
    label_names = ()

    def landmarks(self, camera, frame):
        points = np.random.default_rng(0).uniform(-0.04, 0.04, (68, 3))
        pixels = CAMERAS[camera].project(points) + ([6, 0] if camera == 2 else [0, 0])
        return np.concatenate([pixels, np.ones((68, 1))], axis=1)

    def image(self, camera, frame):
        return None

    def has_image(self, camera, frame):
        return False


def made(points=POINTS):
    """Exact observations of `POINTS`; the first camera does not see the last one."""
    pixels = np.stack([camera.project(POINTS) for camera in CAMERAS])
    weights = np.ones((4, 3))
    weights[0, 2] = 0
    seen = Observations("landmarks", [0, 1, 2, 3], pixels, weights, np.zeros(3, int), np.arange(3), 40.0)
    residuals = np.where(weights > 0, [[0.1], [0.2], [9.0], [0.3]], np.nan)
    return Evidence(seen, points, residuals, limit=1.0)


def test_the_camera_that_disagrees_is_named():
    found = evidence.gather(Landmarks(), 0)
    assert found.seen.kind == "landmarks" and found.suspects == [2]
    assert found.by_camera[2][1] == pytest.approx(6, abs=1.0) and found.by_camera[0][1] < found.limit
    lines = evidence.table(CAMERAS, found).splitlines()
    assert "cam2" in lines[2] and "disagrees" in lines[2] and "disagrees" not in lines[3]


def test_nothing_is_compared_of_one_camera_or_without_evidence():
    assert evidence.gather(type("One", (Landmarks,), {"cameras": CAMERAS[:1]})(), 0) is None
    assert evidence.gather(type("Blank", (Landmarks,), {"landmarks": lambda *a: None})(), 0) is None


def test_rays_go_from_the_camera_to_its_point():
    ends, residuals = evidence.rays(CAMERAS, made())
    assert ends.shape == (11, 2, 3) and residuals.shape == (11,)
    np.testing.assert_allclose(ends[:2, 0], [CENTRES[0]] * 2, atol=1e-12)
    np.testing.assert_allclose(ends[:2, 1], POINTS[:2], atol=1e-9)
    of_one, _ = evidence.rays(CAMERAS, made(), chosen=3)
    np.testing.assert_allclose(of_one[:, 1], POINTS, atol=1e-9)


def test_a_point_that_was_not_found_has_no_rays():
    lost = POINTS.copy()
    lost[1] = np.nan
    found = made(lost)
    assert len(evidence.rays(CAMERAS, found)[0]) == 7
    assert found.spread[1] == np.inf and np.isfinite(found.spread[[0, 2]]).all()


def test_residuals_are_coloured_up_to_the_limit():
    colours = evidence.traffic_light(np.array([0.0, 0.5, 1.0, 7.0, np.nan, np.inf]), 1.0)
    np.testing.assert_array_equal(colours[:3, :2], [[0, 255], [255, 255], [255, 0]])
    assert (colours[3:] == colours[2]).all()


def test_a_picture_shows_both_places():
    found = made()
    moved = replace(found, seen=replace(found.seen, pixels=found.seen.pixels + np.array([12.0, 0])))
    marked = evidence.marked_picture(np.zeros((80, 60, 3), np.uint8), CAMERAS[1], moved, 1)
    x, y = CAMERAS[1].project(POINTS[0]).astype(int)
    np.testing.assert_array_equal(marked[y, x], evidence.EXPECTED)
    np.testing.assert_array_equal(marked[y, x + 12], evidence.SEEN)
