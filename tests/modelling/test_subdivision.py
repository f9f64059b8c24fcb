"""Catmull-Clark as a matrix, on meshes whose limit behaviour is known."""

import numpy as np
import pytest

from headfit.modelling.subdivision import catmull_clark, edges_of

CUBE = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
CORNERS = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])


def grid(n: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    quads = np.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    y, x = np.divmod(np.arange((n + 1) ** 2), n + 1)
    return quads, np.stack([x, y, np.zeros_like(x)], -1).astype(float)


def test_a_cube_gives_catmull_and_clarks_points():
    fine = catmull_clark(CUBE, 8)
    points = fine.matrix @ CORNERS
    assert fine.quads.shape == (24, 4) and len(points) == 8 + 12 + 6
    # A corner: F = mean of three face centres, R of three edge midpoints; (F + 2R + 0 v) / 3 with n = 3.
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(points[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)))
    np.testing.assert_allclose(np.sort(np.abs(points[20:]), axis=1), np.tile([0, 0, 1], (6, 1)))


def test_rows_sum_to_one_and_a_plane_stays_evenly_spaced_inside():
    quads, points = grid(4)
    fine = catmull_clark(quads, len(points))
    np.testing.assert_allclose(np.asarray(fine.matrix.sum(1)).ravel(), 1)
    new = fine.matrix @ points
    np.testing.assert_allclose(new[:, 2], 0)
    inner = 12  # the middle vertex
    np.testing.assert_allclose(new[inner], points[inner])
    assert np.unique(fine.quads).tolist() == list(range(len(new)))


def test_borders_and_sharp_loops_stay_where_they_are():
    quads, points = grid(4)
    sharp = np.array([[11, 12], [12, 13]])
    fine = catmull_clark(quads, len(points), sharp)
    bent = points.copy()
    bent[:, 2] = np.random.default_rng(0).normal(size=len(bent))
    new = fine.matrix @ bent
    border = np.unique(edges_of(quads)[0][edges_of(quads)[2] == 1])
    np.testing.assert_allclose(new[border], bent[border])
    np.testing.assert_allclose(new[12], bent[12])
    assert not np.allclose(new[6], bent[6]), "a smooth vertex does move"


def test_what_cannot_be_subdivided_is_refused():
    quads = np.array([[0, 1, 2, 3], [0, 1, 4, 5], [0, 1, 6, 7]])
    with pytest.raises(ValueError, match="more than two quads"):
        catmull_clark(quads, 8)
    with pytest.raises(ValueError):
        catmull_clark(CUBE, 8, np.array([[0, 7]]))
