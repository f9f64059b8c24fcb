import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headfit.evaluate.surface import SurfaceDistance, closest_on_triangle

UNIT = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("point", "distance", "bary"),
    [
        ([0.25, 0.25, 2.0], 2.0, [0.5, 0.25, 0.25]),  # above the inside
        ([-3.0, -4.0, 0.0], 5.0, [1, 0, 0]),  # before corner a
        ([2.0, -1.0, 0.0], 2**0.5, [0, 1, 0]),  # before corner b
        ([-1.0, 2.0, 0.0], 2**0.5, [0, 0, 1]),  # before corner c
        ([0.5, -1.0, 0.0], 1.0, [0.5, 0.5, 0]),  # before edge ab
        ([1.0, 1.0, 0.0], 0.5**0.5, [0, 0.5, 0.5]),  # before edge bc
        ([-1.0, 0.5, 0.0], 1.0, [0.5, 0, 0.5]),  # before edge ca
    ],
)
def test_each_region_of_a_triangle(point, distance, bary):
    got_distance, got_bary = closest_on_triangle(np.array([point]), UNIT[None])
    np.testing.assert_allclose(got_distance, [distance], atol=1e-12)
    np.testing.assert_allclose(got_bary, [bary], atol=1e-12)


def test_degenerate_triangles_are_their_edges():
    segment = np.array([[0.0, 0, 0], [1, 0, 0], [0.5, 0, 0]])
    point = np.zeros((3, 3))
    distance, _ = closest_on_triangle(np.array([[0.25, 3.0, 4.0], [4.0, 4.0, 0.0]]), np.stack([segment, point]))
    np.testing.assert_allclose(distance, [5, 32**0.5])


def brute_force(points, vertices, faces):
    tries = [closest_on_triangle(points, np.broadcast_to(vertices[face], (len(points), 3, 3)))[0] for face in faces]
    return np.min(tries, axis=0)


@settings(max_examples=30, deadline=None)
@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.floats(-3, 1))
def test_equals_brute_force_on_triangles_of_mixed_size(seed, log_size):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(120, 1, 3))
    sizes = 10 ** rng.uniform(log_size - 2, log_size, (120, 1, 1))
    vertices = (centres + sizes * rng.normal(size=(120, 3, 3))).reshape(-1, 3)
    faces = np.arange(360).reshape(-1, 3)
    points = rng.normal(size=(50, 3)) * 2
    closest = SurfaceDistance(vertices, faces).closest(points)
    np.testing.assert_allclose(closest.distance, brute_force(points, vertices, faces), rtol=1e-9, atol=1e-12)
    found = np.einsum("nk,nkd->nd", closest.bary, vertices[faces[closest.face]])
    np.testing.assert_allclose(np.linalg.norm(found - points, axis=1), closest.distance, atol=1e-9)
    np.testing.assert_allclose(closest.bary.sum(axis=1), 1)
    assert (closest.bary >= 0).all()


def test_a_large_triangle_with_a_far_centroid_is_found():
    # The nearest centroids belong to the small triangles, the nearest surface to the large one.
    small = np.random.default_rng(0).normal(size=(50, 3, 3)) * 0.01 + np.array([0, 0, 1.0])
    large = np.array([[[-100.0, -100, 0], [100, -100, 0], [0, 300, 0]]])
    vertices = np.concatenate([small, large]).reshape(-1, 3)
    closest = SurfaceDistance(vertices, np.arange(153).reshape(-1, 3)).closest(np.array([[0.0, 0, 0.25]]))
    assert closest.face[0] == 50
    np.testing.assert_allclose(closest.distance, 0.25)


def test_no_points_and_more_points_than_a_chunk():
    surface = SurfaceDistance(UNIT, np.array([[0, 1, 2]]))
    assert surface.closest(np.zeros((0, 3))).distance.shape == (0,)
    heights = np.linspace(0, 1, 10_000)
    points = np.stack([np.full_like(heights, 0.2), np.full_like(heights, 0.2), heights], axis=-1)
    np.testing.assert_allclose(surface.closest(points).distance, heights, atol=1e-12)


def test_a_mesh_without_faces_is_refused():
    with pytest.raises(ValueError, match="at least one face"):
        SurfaceDistance(UNIT, np.zeros((0, 3), dtype=int))
