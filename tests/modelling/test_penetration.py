"""No part of the default head pokes through another: depths in mm at poses that bring them together."""

import numpy as np
import pytest

from headfit.head import HeadModel, load
from headfit.modelling.penetration import PenetrationMeter, Surface, closest_barycentric

# What is left at full strength (models/default/card.md lists it): soft lips may press into each other, the rest may
# touch. Millimetres.
BARS = {
    "upper_teeth in flesh": 0.8,
    "lower_teeth in flesh": 1.3,
    "tongue in flesh": 1.0,
    "tongue in upper jaw": 0.5,
    "tongue in lower jaw": 1.2,
    "upper jaw in lower jaw": 1.3,
    "upper_lip in lower_lip": 4.0,
    "lids in eyeballs": 0.4,
    "teeth or tongue out of skin": 0.0,
}
POSES = {
    "rest": {},
    "wide open": {"jawOpen": 1.0},
    "half a blink": {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5},
    "pucker": {"mouthPucker": 1.0},
    "funnel": {"mouthFunnel": 1.0},
    "rolled in": {"mouthRollUpper": 1.0, "mouthRollLower": 1.0},
    "jaw to the left": {"jawLeft": 1.0},
    "open with closed lips": {"jawOpen": 0.5, "mouthClose": 0.5},
    "tongue out": {"jawOpen": 0.6, "tongueOut": 1.0},
    "tongue up": {"jawOpen": 0.7, "tongueUp": 1.0},
}


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


def vertices(head: HeadModel, units: dict[str, float]) -> np.ndarray:
    return head.pose(units).double().numpy()


@pytest.fixture(scope="module")
def meter(head) -> PenetrationMeter:
    return PenetrationMeter(head, vertices(head, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", POSES)
def test_no_part_pokes_through_another(head, meter, name):
    depth = meter.measure(vertices(head, POSES[name]))
    too_deep = {pair: 1e3 * value for pair, value in depth.items() if 1e3 * value > BARS[pair] + 1e-3}
    assert not too_deep, f"{name}: {too_deep} mm"


@pytest.mark.slow
def test_teeth_pushed_through_the_lip_are_found_with_their_depth(head, meter):
    """The measure itself: the upper row moved 12 mm forwards ends before the skin, 4 mm up it is in the palate."""
    v = vertices(head, {})
    row = meter.jaws["upper"].vertices
    v[row, 2] += 0.012
    depth = meter.measure(v)
    assert 0.004 < depth["teeth or tongue out of skin"] < 0.012
    assert depth["upper_teeth in flesh"] > 0.002


def test_a_tongue_pushed_into_the_teeth_is_found(head, meter):
    v = vertices(head, {})
    v[meter.tongue.vertices, 2] += 0.004
    assert meter.measure(v)["tongue in lower jaw"] > 0.002


def test_lids_pressed_into_the_eyeballs_are_found(head, meter):
    v = vertices(head, {})
    v[meter.lids["left"], 2] -= 0.002
    assert 0.001 < meter.measure(v)["lids in eyeballs"] < 0.003


def test_depth_behind_a_plane_is_the_distance_to_it_and_beside_it_is_none():
    v = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    plane = Surface.of(np.array([[0, 1, 2], [0, 2, 3]]), 4)
    depth = plane.depth(np.array([[0.4, 0.5, -0.3], [0.4, 0.5, 0.3], [2.0, 0.5, -0.3]]), v)
    np.testing.assert_allclose(depth, [0.3, 0, 0], atol=1e-12)


def test_the_winding_number_tells_inside_from_outside(head, meter):
    v = vertices(head, {})
    eye = meter.eyes["left"]
    centre = head.pivots[head.joint_names.index("left_eye")].double().numpy()
    winding = eye.winding(centre + np.array([[0, 0, 0], [0, 0.011, 0], [0, 0.013, 0]]), v)
    np.testing.assert_allclose(winding, [1, 1, 0], atol=1e-9)


def test_nearest_places_on_a_triangle_are_those_of_a_dense_search():
    rng = np.random.default_rng(0)
    corners, points = rng.normal(size=(40, 3, 3)), 2 * rng.normal(size=(40, 3))
    bary = closest_barycentric(points, corners)
    assert (bary >= 0).all()
    np.testing.assert_allclose(bary.sum(1), 1)
    found = np.linalg.norm((bary[..., None] * corners).sum(1) - points, axis=1)
    grid = np.array([(i, j, 60 - i - j) for i in range(61) for j in range(61 - i)]) / 60
    dense = np.linalg.norm(np.einsum("gc,ncd->ngd", grid, corners) - points[:, None], axis=-1).min(1)
    assert (found <= dense + 1e-9).all() and (dense - found).max() < 0.05
