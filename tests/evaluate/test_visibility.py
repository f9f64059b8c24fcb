"""Visibility of three squares in front of a camera: near, far (hidden behind near), and one next to them."""

import numpy as np
import pytest

from headfit.capture import Camera
from headfit.capture.true_meshes import read_true_meshes
from headfit.errors import HeadfitError
from headfit.evaluate.visibility import seen_vertices, vertex_normals

SQUARE = np.array([[-0.05, -0.05, 0], [-0.05, 0.05, 0], [0.05, 0.05, 0], [0.05, -0.05, 0]])
NEAR, FAR, BESIDE = (SQUARE * scale + np.array(offset) for scale, offset in (
    (1.0, [0, 0, 1.0]), (0.5, [0, 0, 1.2]), (0.5, [0.15, 0, 1.2])))  # fmt: skip
VERTICES = np.concatenate([NEAR, FAR, BESIDE])
# Counterclockwise as the camera at the origin sees them: normals along -z.
FACES = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * square for square in range(3)])
PARTS = np.repeat([0, 1, 1], 2)


def camera(**changes):
    K = np.array([[400.0, 0, 100], [0, 400, 50], [0, 0, 1]])
    values = {
        "id": "c",
        "width": 200,
        "height": 100,
        "K": K,
        "R": np.eye(3),
        "t": np.zeros(3),
    }
    return Camera(**(values | changes))


@pytest.fixture
def write(tmp_path):
    def save(units=1.0, drop=(), **changes):
        arrays = {"faces": FACES, "face_parts": PARTS, "part_names": np.array(["near", "rest"])} | changes
        np.savez(tmp_path / "topology.npz", **{key: value for key, value in arrays.items() if key not in drop})
        np.savez(tmp_path / "a.npz", vertices=VERTICES.astype(np.float32))
        return read_true_meshes(tmp_path, units)

    return save


def squares(seen):
    return [list(seen[i : i + 4]) for i in (0, 4, 8)]


ALL, NONE = [True] * 4, [False] * 4


def test_normals_point_at_the_camera():
    np.testing.assert_allclose(vertex_normals(VERTICES, FACES)[:, :2], 0, atol=1e-15)
    assert (vertex_normals(VERTICES, FACES)[:, 2] < 0).all()


def test_hidden_vertices_are_not_seen(write):
    assert squares(seen_vertices(write(), VERTICES, [camera()])) == [ALL, NONE, ALL]


def test_a_second_camera_sees_behind_the_first_square(write):
    # From 0.6 m to the left, nothing hides behind the near square.
    aside = camera(id="aside", width=500, t=np.array([0.6, 0, 0]))
    assert squares(seen_vertices(write(), VERTICES, [camera(), aside])) == [ALL, ALL, ALL]


def test_backs_are_not_seen(write):
    assert squares(seen_vertices(write(faces=FACES[:, ::-1].copy()), VERTICES, [camera()])) == [NONE, NONE, NONE]


def test_vertices_outside_the_picture_or_behind_the_camera_are_not_seen(write):
    assert squares(seen_vertices(write(), VERTICES, [camera(width=110)])) == [[True, True, False, False], NONE, NONE]
    assert squares(seen_vertices(write(), VERTICES, [camera(t=np.array([0, 0, -2.0]))])) == [NONE, NONE, NONE]


def test_faces_that_no_picture_shows_hide_nothing_and_are_never_seen(write):
    truth = write(face_rendered=np.array([False, False, True, True, True, True]))
    assert squares(seen_vertices(truth, VERTICES, [camera()])) == [NONE, ALL, ALL]


def test_vertices_under_hair_are_left_out(write):
    hair = np.full(12, -1.0)
    hair[1] = 0.5
    assert squares(seen_vertices(write(field_hair=hair), VERTICES, [camera()]))[0] == [True, False, True, True]


def test_vertices_come_in_metres_by_frame(write):
    np.testing.assert_allclose(write(units=0.01).vertices("a"), VERTICES * 0.01, rtol=1e-6)
    assert write().vertices("b") is None


def test_both_spellings_of_the_parts_are_read(write):
    truth = write(drop=("face_parts",), face_part=PARTS.astype(np.uint8))
    np.testing.assert_array_equal(truth.part_vertices(1), np.arange(4, 12))


def test_missing_arrays_and_vertices_are_named(write):
    with pytest.raises(HeadfitError, match=r"topology\.npz: the array 'part_names' is missing"):
        write(drop=("part_names",))
    with pytest.raises(HeadfitError, match=r"frame a has 12 vertices.*refer to vertex 99"):
        write(faces=np.array([[0, 1, 99]])).vertices("a")
