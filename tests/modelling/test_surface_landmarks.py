"""Points found on many heads become points of the surface."""

import numpy as np
import pytest

from headfit.modelling.surface_landmarks import nearer_side, on_surface, surface_landmarks

#: Two squares of two triangles each, side by side in the plane z = 0; the right one is the second half of the faces.
REST = np.array([[x, y, 0.0] for x in (0.0, 1.0, 2.0) for y in (0.0, 1.0)])
FACES = np.array([[0, 2, 1], [1, 2, 3], [2, 4, 3], [3, 4, 5]])
ALL = np.ones(4, bool)
LEFT, RIGHT = np.array([True, True, False, False]), np.array([False, False, True, True])


def moved(count: int) -> np.ndarray:
    """The surface, stretched and shifted differently on each head."""
    rng = np.random.default_rng(0)
    return np.stack([REST * [*rng.uniform(0.8, 1.2, 2), 1] + rng.normal(size=3) for _ in range(count)])


def test_a_point_of_the_surface_is_found_again_through_all_poses() -> None:
    posed, bary = moved(7), np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]])
    found = on_surface(posed, FACES[[1, 2]], bary)
    points = surface_landmarks(REST, FACES, posed, found, ALL)
    assert points.faces.tolist() == [1, 2]
    np.testing.assert_allclose(points.bary, bary, atol=1e-9)
    np.testing.assert_allclose(points.spread, 0, atol=1e-9)


def test_the_spread_is_the_distance_from_the_surface_and_one_wrong_head_changes_nothing() -> None:
    posed = moved(5)
    found = on_surface(posed, FACES[[0]], np.array([[0.5, 0.25, 0.25]])) + np.array([0, 0, 0.3])
    found[4] += [0.4, 0.4, 2.0]
    points = surface_landmarks(REST, FACES, posed, found, ALL)
    np.testing.assert_allclose(on_surface(REST, FACES[points.faces], points.bary), [[0.25, 0.25, 0]], atol=1e-9)
    np.testing.assert_allclose(points.spread, 0.3)


def test_a_point_that_few_heads_show_is_unknown() -> None:
    posed = moved(5)
    found = on_surface(posed, FACES[[0, 1]], np.full((2, 3), 1 / 3))
    found[:3, 0] = np.nan
    points = surface_landmarks(REST, FACES, posed, found, ALL)
    assert points.faces.tolist() == [-1, 1]
    assert points.spread[0] == np.inf and points.spread[1] < 1e-9


def test_each_point_keeps_to_its_own_faces() -> None:
    found = np.array([[[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]]])
    points = surface_landmarks(REST, FACES, REST[None], found, np.stack([LEFT, RIGHT]))
    at = on_surface(REST, FACES[points.faces], points.bary)
    np.testing.assert_allclose(at, [[0.9, 0.5, 0], [1, 0.5, 0]], atol=1e-12)
    np.testing.assert_allclose(points.spread, [0.1, np.hypot(0.1, 0.1)])


@pytest.mark.parametrize(("x", "side"), [(0.7, 0), (1.3, 1)])
def test_the_poses_that_part_two_sides_tell_which_a_point_belongs_to(x: float, side: int) -> None:
    parted = np.concatenate([REST[:4], REST[2:] + np.array([0.5, 0, 0])])  # the squares share no vertex and are apart
    apart = np.array([[0, 2, 1], [1, 2, 3], [4, 6, 5], [5, 6, 7]])
    closed = parted.copy()
    closed[4:, 0] -= 0.5
    found = np.array([[[1.0, 0.5, 0]], [[1.0, 0.5, 0]], [[x, 0.5, 0]]])
    assert nearer_side(apart, np.stack([closed, closed, parted]), found, (LEFT, RIGHT)).tolist() == [side]
    assert nearer_side(apart, np.stack([closed, closed]), found[:2], (LEFT, RIGHT)).tolist() == [-1]
