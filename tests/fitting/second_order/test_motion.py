"""Derivatives of vertices by the unknowns of a frame, against finite differences."""

import pytest
import scipy.sparse
import torch

from headfit.fitting.parameters import FitParameters
from headfit.fitting.second_order.motion import FrameMotion, VertexMotion, jacobian
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import OF_FRAME, OF_PERSON, Columns
from headfit.head import load
from headfit.head.rotation import axis_angle_to_matrix
from headfit.head.sparse import SparseMatrix


@pytest.mark.slow
@pytest.mark.parametrize("groups", [OF_FRAME, OF_PERSON], ids=["frame", "person"])
def test_derivatives_of_all_vertices_agree_with_finite_differences(groups):
    """Of a posed, expressive head with free offsets and detail, whose pivots follow the units."""
    torch.manual_seed(0)
    head = load("default")
    head.pivot_expression_basis = torch.randn_like(head.pivot_expression_basis) * 0.005
    geometry = FitParameters(head, frame_count=2, smoothness=30.0)
    vertices = torch.arange(0, head.vertex_count, 3)
    for parameter, size in ((geometry.identity, 0.5), (geometry.offset_field, 5e-4), (geometry.log_scale, 0.1)):
        parameter.data.normal_(0, size)
    for name in (*OF_FRAME.values(), "placement_scaled"):
        getattr(geometry, name).data.normal_(0, 0.1)
    columns, frame = Columns.of(geometry, dict.fromkeys(groups, 0.1)), torch.tensor(1)
    rows = all_rows(VertexMotion(geometry, columns)(frame), coordinates_of(vertices))
    at = columns.values(geometry, frame)
    for name, of_group in columns.parameter.items():
        step = torch.zeros_like(at)
        step[of_group] = torch.randn_like(step[of_group])
        length = 1.0 if name in ("detail_mm", "identity") else 1e-3  # vertices are linear in these
        ends = []
        for sign in (1, -1):
            columns.store(geometry, frame, at + sign * length * step)
            with torch.no_grad():
                ends.append(geometry(frame[None])[0][0, vertices])
        columns.store(geometry, frame, at)
        expected = (ends[0] - ends[1]) / (2 * length)
        largest = float(expected.abs().max())
        found = (rows @ step).view_as(expected)
        # Those by the detail take the blend of the joints' motions from around the vertex.
        tolerance = 5e-3 if name == "detail_mm" else 1e-3
        torch.testing.assert_close(found, expected, atol=tolerance * largest, rtol=0, msg=name)
        if name == "detail_mm":
            assert (found - expected).norm() < 1e-3 * expected.norm()


def all_rows(motion: FrameMotion, residuals: PointResiduals) -> torch.Tensor:
    """Derivatives `[N,P]` of residuals by all unknowns, the detail's put together from its groups."""
    own, detail = motion.rows(residuals), motion.detail
    if detail is None:
        return own
    by_coefficient = own.new_zeros(len(own), 3 * len(detail.by_detail))
    number = detail.group_of_vertex[residuals.corners[:, 0]]
    for index, group in enumerate(detail.groups):
        of_group = (number == index).nonzero()[:, 0]
        by_coefficient[of_group[:, None], group.columns] = motion.detail_rows(residuals.chosen(of_group), group)
    by_detail = torch.einsum("nka,kj->nja", by_coefficient.unflatten(1, (-1, 3)), detail.by_detail)
    return torch.cat([own, by_detail.flatten(1)], dim=1)


def coordinates_of(vertices: torch.Tensor) -> PointResiduals:
    """A residual for each of the coordinates of vertices `[N]`, metres; x, y and z of one after the other."""
    axes = torch.nn.functional.pad(torch.eye(3)[:, None], (0, 0, 0, 2)).repeat(len(vertices), 1, 1)
    corners = vertices.repeat_interleave(3)[:, None].expand(-1, 3)
    return PointResiduals(corners, axes, torch.zeros(len(axes)), torch.ones(len(axes)))


def test_a_head_without_joints_units_and_identity_still_moves_as_a_whole():
    head = load("default")
    for name in ("identity_basis", "expression_basis", "combination_basis", "pose_correctives", "pivots"):
        setattr(head, name, getattr(head, name)[:0])
    head.pivot_basis, head.pivot_expression_basis = head.pivot_basis[:0, :0], head.pivot_expression_basis[:0, :0]
    head.part_centre_basis, head.combination_units = head.part_centre_basis[:0], head.combination_units[:0]
    head.skinning_weights, head.corrective_entries = head.skinning_weights[:, :1], head.corrective_entries[:0]
    head.expression_lowest, head.joint_lowest = head.expression_lowest[:0], head.joint_lowest[:0]
    head.joint_highest = head.joint_highest[:0]
    head.joint_parents = head.joint_names = head.expression_names = ()
    geometry = FitParameters(head, frame_count=1, smoothness=30.0)
    columns = Columns.of(geometry, dict.fromkeys(("translation", "expression", "joints", "scale", "identity"), 0.1))
    vertices = torch.arange(0, head.vertex_count, 100)
    rows = all_rows(VertexMotion(geometry, columns)(torch.tensor(0)), coordinates_of(vertices))
    expected = torch.cat([torch.eye(3).repeat(len(vertices), 1), head.rest()[vertices].reshape(-1, 1)], dim=1)
    torch.testing.assert_close(rows, expected, atol=1e-6, rtol=0)


def test_jacobian_of_a_batched_function_is_that_of_autograd():
    at = torch.tensor([0.3, -0.2, 0.9])
    expected = torch.autograd.functional.jacobian(lambda x: axis_angle_to_matrix(x), at)
    torch.testing.assert_close(jacobian(axis_angle_to_matrix, at), expected)


def test_wide_tables_are_multiplied_like_others():
    dense = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.5, -3.0]])
    table = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    matrix = SparseMatrix(scipy.sparse.csr_matrix(dense.numpy()))
    torch.testing.assert_close(matrix.times_wide(table), dense @ table)


def test_groups_without_a_rate_have_no_columns(true_module):
    geometry = true_module.model.geometry
    columns = Columns.of(geometry, {"translation": 0.1, "expression": 0.2, "rotation": 0.0})
    assert list(columns.parameter) == ["translation", "expression"] and not columns.moves_person
    assert len(columns) == 3 + geometry.expression.shape[1]
    assert columns.longest.tolist() == pytest.approx([0.1] * 3 + [0.2] * (len(columns) - 3))
