"""The functions by which second-order steps see a frame's detail."""

import pytest
import torch

from headfit.fitting.parameters import FitParameters
from headfit.fitting.second_order.detail_basis import HALVINGS, DetailBasis, halves
from headfit.fitting.second_order.motion import VertexMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import Columns
from headfit.head import load
from tests.support.threads import threads


@pytest.fixture
def few_points(monkeypatch):
    """Parameters of a head with some number of control points."""

    def made(count: int) -> FitParameters:
        monkeypatch.setattr("headfit.fitting.detail.CONTROL_POINTS", count)
        return FitParameters(load(), frame_count=1, smoothness=30.0)

    return made


def footprints(geometry: FitParameters) -> torch.Tensor:
    """Displacements `[V,K]` (metres) around vertices by a millimetre of each control point."""
    count = geometry.frame_detail.control_point_count
    if count == 0:  # torch's embedding_bag fails on several threads for tables without columns
        return torch.zeros(geometry.head.vertex_count, 0)
    with torch.no_grad():
        each = 1e-3 * geometry.frame_detail(torch.eye(count)[..., None])[..., 0].T
    return geometry.head.subdivided(each.contiguous())


@pytest.mark.parametrize("count", [0, 5, 40, 300])
def test_equations_of_triangles_all_over_the_head_are_those_of_dense_rows(few_points, count):
    geometry = few_points(count)
    rng = torch.Generator().manual_seed(0)
    faces = geometry.head.faces.long()
    corners = faces[torch.randint(len(faces), (3000,), generator=rng)]
    direction, value, weight = (torch.randn(3000, *size, generator=rng) for size in ((3, 3), (), ()))
    columns = Columns.of(geometry, {"translation": 1.0, "detail": 1.0})
    motion = VertexMotion(geometry, columns)(torch.tensor(0))
    found = NormalEquations.of(PointResiduals(corners, direction, value, weight.abs()), motion)
    by_detail = torch.einsum("vab,vk->vakb", motion.linear, footprints(geometry)).flatten(2)
    derivatives = torch.cat([motion.by_unknown, by_detail], dim=2)
    rows = torch.einsum("nca,ncap->np", direction, derivatives[corners]).double()
    matrix = rows.T @ (weight.abs()[:, None] * rows)
    scale = matrix.diagonal().clamp_min(1e-20).rsqrt()
    assert found.matrix.shape == (len(columns), len(columns)) == (3 + 3 * count, 3 + 3 * count)
    close = {"atol": 5e-6, "rtol": 0}
    torch.testing.assert_close(found.matrix * scale[:, None] * scale, matrix * scale[:, None] * scale, **close)
    gradient = rows.T @ (weight.abs() * value).double()
    torch.testing.assert_close(found.gradient / gradient.norm(), gradient / gradient.norm(), **close)


def test_groups_are_made_once_and_leave_out_what_is_rigid(true_module):
    geometry = true_module.model.geometry
    basis = DetailBasis.of(geometry)
    assert DetailBasis.of(geometry) is basis and len(basis.groups) == 2**HALVINGS
    rigid = geometry.head.cage_rigid_part >= 0
    unmoved = geometry.head.subdivided(rigid.float()[:, None])[:, 0] == 1
    assert unmoved.any() and (basis.group_of_vertex[unmoved] == len(basis.groups)).all()


@pytest.mark.parametrize("count", [1, 2])
def test_a_vertex_without_a_triangle_has_its_own_derivatives(few_points, count):
    """The temporal term compares every few vertices, whatever they belong to. Nothing but the detail moves: torch takes
    other ways through a table without columns on several threads."""
    geometry = few_points(40)
    head, size = geometry.head, footprints(geometry)
    vertex = int(size.abs().sum(1).argmax())
    head.faces = head.faces[~(head.faces == vertex).any(1)]
    alone = PointResiduals(torch.full((1, 3), vertex), torch.eye(3)[None] * torch.eye(3)[:, :1], *torch.ones(2, 1))
    with threads(count):
        motion = VertexMotion(geometry, Columns.of(geometry, {"detail": 1.0}))(torch.tensor(0))
    found = NormalEquations.of(alone, motion).gradient.view(-1, 3)[:, 0].float()
    torch.testing.assert_close(found, motion.linear[vertex, 0, 0] * size[vertex])


def test_halves_are_equal_and_compact():
    points = torch.tensor([[x, y, 0.0] for x in range(8) for y in range(2)])
    part = halves(points, 3)
    assert torch.bincount(part).tolist() == [2] * 8
    for number in range(8):
        assert (points[part == number].amax(0) - points[part == number].amin(0)).max() == 1
