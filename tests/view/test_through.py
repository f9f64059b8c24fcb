from dataclasses import replace

import numpy as np
import pytest

from headfit.view import through
from tests.support.made_run import looking_at_the_head

CAMERA = looking_at_the_head((0.3, 0.2, 0.7), "aside")
OFF_CENTRE = replace(CAMERA, K=CAMERA.K + np.array([[0, 0, 8.0], [0, 0, -5], [0, 0, 0]]))
TILES = tuple(np.full((2, 3, 3), value, np.uint8) for value in (0, 200, 50, 90))


def test_looks():
    assert through.look(TILES, "blend", 0.0)[0, 0, 0] == 0
    assert through.look(TILES, "blend", 0.25)[0, 0, 0] == 50
    assert through.look(TILES, "blend", 1.0)[0, 0, 0] == 200
    assert through.look(TILES, "label borders", 0.5) is TILES[2]
    assert through.look(TILES, "difference", 0.5) is TILES[3]


@pytest.mark.parametrize("camera", [CAMERA, OFF_CENTRE])
def test_the_plane_covers_what_the_camera_sees(camera):
    """Its corners project to the corners of the picture."""
    width, height, middle = through.image_plane(camera, 0.9)
    x, y = camera.R[:2]
    for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = middle + sx * width / 2 * x + sy * height / 2 * y
        expected = [(1 + sx) / 2 * camera.width, (1 + sy) / 2 * camera.height]
        np.testing.assert_allclose(camera.project(corner), expected, atol=1e-9)
        assert camera.to_camera(corner)[2] == pytest.approx(0.9)


@pytest.mark.parametrize("aspect", [0.4, 0.75, 2.0])
def test_the_whole_picture_fits_the_window(aspect):
    half_y = np.tan(through.field_of_view(OFF_CENTRE, aspect) / 2)
    pixels = np.array([[0.0, 0], [60, 0], [60, 80], [0, 80]])
    rays = OFF_CENTRE.rays(pixels)
    x, y = np.abs(rays[:, :2] / rays[:, 2:]).T
    assert x.max() <= half_y * aspect + 1e-9 and y.max() <= half_y + 1e-9
    assert max(x.max() / (half_y * aspect), y.max() / half_y) == pytest.approx(1.0)
