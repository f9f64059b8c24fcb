import numpy as np
import pytest

from headfit.view import tracking
from tests.support.made_run import looking_at_the_head

#: Two triangles that face +z, one 0.1 m in front of the other and smaller.
VERTICES = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0], [-0.1, -0.1, 0.1], [0.1, -0.1, 0.1], [0, 0.1, 0.1]])
FACES = np.array([[0, 1, 2], [3, 4, 5]])
CAMERA = looking_at_the_head((0.0, 0.0, 0.8), "front")


@pytest.mark.parametrize("flip", [False, True])
def test_a_ray_meets_the_nearest_face_from_either_side(flip):
    faces = FACES[:, ::-1] if flip else FACES
    towards = np.array([0.0, 0, -1])
    assert tracking.first_hit(np.array([0.07, -0.09, 1.0]), towards, VERTICES, faces) == (4, pytest.approx(0.9))
    assert tracking.first_hit(np.array([0.8, -0.9, 1.0]), towards, VERTICES, faces) == (1, pytest.approx(1.0))


def test_a_ray_misses_what_is_beside_or_behind_it():
    assert tracking.first_hit(np.array([0, 0, 1.0]), np.array([0, 0, 1.0]), VERTICES, FACES) is None
    assert tracking.first_hit(np.array([2, 2, 1.0]), np.array([0, 0, -1.0]), VERTICES, FACES) is None
    assert tracking.first_hit(np.array([0, 0, 1.0]), np.array([1, 0, 0.0]), VERTICES, FACES) is None


def test_a_vertex_behind_another_face_is_hidden():
    behind = np.concatenate([VERTICES, [[0.0, 0, 0]]])
    faces = np.concatenate([FACES, [[0, 1, 6]]])
    assert tracking.is_hidden(CAMERA, 6, behind, faces)
    assert not tracking.is_hidden(CAMERA, 4, behind, faces)
    assert not tracking.is_hidden(looking_at_the_head((0.8, 0.0, 0.05), "side"), 6, behind, faces)


def test_a_tile_shows_the_vertex_in_its_middle_and_its_way():
    picture = np.zeros((80, 60, 3), np.uint8)
    x, y = CAMERA.project(np.zeros(3)).astype(int)
    picture[y - 2 : y + 2, x - 2 : x + 2] = [0, 200, 0]  # around the vertex
    track = np.array([[-0.02, 0, 0], [0, 0, 0], [0, 0.02, 0]])
    tile = tracking.track_tile(CAMERA, picture, track, 1, hidden=False)
    middle = tracking.TILE // 2
    assert tile.shape == (tracking.TILE, tracking.TILE, 3)
    np.testing.assert_array_equal(tile[middle, middle], tracking.NOW)
    np.testing.assert_allclose(tile[middle + 5, middle + 5], [0, 200, 0], atol=30)
    reach = round(0.01 / tracking.TILE_WIDTH * tracking.TILE)
    past = tile[middle - 3 : middle + 3, [middle - reach, middle + reach]].astype(int)
    future = tile[[middle - reach, middle + reach], middle - 3 : middle + 3].astype(int)
    # The camera's x is the world's -x or x: the past is on one side only, and the future up, which is -y in pixels.
    assert (past[..., 2].max(axis=0) > 100).sum() == 1
    assert future[0, :, 0].max() > 100 and future[1, :, 0].max() < 100
    assert (tracking.track_tile(CAMERA, None, track, 1, hidden=True)[middle, middle] == tracking.HIDDEN).all()


def test_the_last_row_of_a_sheet_is_filled_up():
    tiles = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3, 4)]
    sheet = tracking.sheet(tiles)
    assert sheet.shape == (4, 2 * tracking.COLUMNS, 3) and sheet[2, 0, 0] == 4 and sheet[2, 2, 0] == 0


def test_a_window_stays_within_the_frames():
    assert list(tracking.window(1, 10, 3)) == [0, 1, 2, 3, 4]
    assert list(tracking.window(9, 10, 3)) == [6, 7, 8, 9]
