"""Control points: their positions, the vertices that they move, and that they move their own frame only."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import dijkstra

from headfit.fitting.detail import CONTROL_POINTS, edge_graph, farthest_vertices
from headfit.fitting.parameters import FitParameters
from headfit.head import load


@pytest.fixture(scope="module")
def geometry():
    return FitParameters(load(), frame_count=3, smoothness=30.0)


def test_control_points_cover_a_graph_evenly_and_reach_each_of_its_components():
    """A lattice of 20 by 20 triangulated squares, and a single triangle."""
    corner = (np.arange(20)[:, None] * 21 + np.arange(20)).reshape(-1, 1)
    faces = np.concatenate([corner + np.array([0, 1, 21]), corner + np.array([1, 22, 21]), [[441, 442, 443]]])
    connected = edge_graph(faces, 444)
    assert connected[0, 1] and connected[1, 0] and not connected[0, 22] and connected[1, 21]
    chosen = farthest_vertices(connected, 26)
    apart = dijkstra(connected, indices=chosen, unweighted=True)
    assert apart.min(0).max() <= 4
    between = apart[:, chosen] + 99 * np.eye(26)
    assert between.min() >= 3
    assert sum(chosen > 440) == 1
    assert sorted(farthest_vertices(connected, 1000)) == list(range(444))


def test_most_control_points_are_on_the_face(geometry):
    head, chosen = geometry.head, geometry.frame_detail.control_points
    assert len(chosen) == CONTROL_POINTS
    front = head.mean[chosen, 2] > head.mean[:, 2].max() - 0.08  # metres from the tip of the nose
    assert front.float().mean() > 0.5


def test_a_control_point_moves_itself_most_and_nothing_rigid(geometry):
    head, detail = geometry.head, geometry.frame_detail
    footprint = detail(torch.eye(detail.control_point_count)[..., None])[..., 0].T  # [Vc,K]
    own = footprint[detail.control_points].diagonal()
    torch.testing.assert_close(own, torch.ones_like(own))
    assert (footprint >= -2e-3).all()
    assert (footprint.argmax(0) == detail.control_points).float().mean() > 0.8
    assert (footprint[head.cage_rigid_part >= 0] == 0).all()
    skin = ((head.cage_stiffness <= 1) & (head.cage_rigid_part < 0)).nonzero()[:, 0]
    assert (footprint[skin].sum(1) > 0.1).all(), "every soft place is in reach of a control point"


def test_footprints_are_columns_of_the_smoothing(geometry):
    """Scaled, up to what the functions leave out."""
    detail, chosen = geometry.frame_detail, geometry.frame_detail.control_points[[0, 150]]
    pulls = torch.zeros(geometry.head.cage_count, 3)
    pulls[chosen, [0, 1]] = 1.0
    with torch.no_grad():
        expected = geometry.smooth(pulls)[:, :2]
        found = detail(torch.eye(detail.control_point_count)[[0, 150], :, None])[..., 0].T
    expected = expected / expected[chosen, [0, 1]]
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)


def test_functions_are_one_at_their_own_control_point_and_few_reach_a_vertex(geometry):
    detail = geometry.frame_detail
    functions = detail.functions.matrix.to_dense()
    torch.testing.assert_close(functions[detail.control_points], torch.eye(detail.control_point_count))
    assert 10 < (functions != 0).sum(1)[functions.any(1)].float().mean() < 40


def test_detail_belongs_to_its_frame(geometry):
    with torch.no_grad():
        geometry.detail_mm[1, 7] = torch.tensor([0.0, 0.0, 2.0])
    try:
        v, shared = geometry(torch.arange(3))
    finally:
        with torch.no_grad():
            geometry.detail_mm.zero_()
    assert torch.equal(v[0], v[2])
    moved = (v[1] - v[0]).norm(dim=-1)
    assert 0.001 < moved.max() < 0.0025  # metres; smoothing by subdivision takes some of the 2 mm
    assert (shared == 0).all()


def test_gradient_of_detail_is_that_of_finite_differences(geometry):
    weight = torch.randn(1, geometry.head.vertex_count, 3, generator=torch.Generator().manual_seed(1))
    frame = torch.tensor([2])
    value = (geometry(frame)[0] * weight).sum()
    gradient = torch.autograd.grad(value, geometry.detail_mm)[0].to_dense()
    assert (gradient[:2] == 0).all()
    for axis in range(3):
        with torch.no_grad():
            geometry.detail_mm[2, 11, axis] = 50.0
            change = ((geometry(frame)[0] - geometry.to_world(torch.zeros(1, 1, 3), frame)) * weight).sum()
            geometry.detail_mm[2, 11, axis] = -50.0
            change -= ((geometry(frame)[0] - geometry.to_world(torch.zeros(1, 1, 3), frame)) * weight).sum()
            geometry.detail_mm[2, 11, axis] = 0.0
        torch.testing.assert_close(gradient[2, 11, axis], change / 100, rtol=1e-3, atol=1e-5)
