"""Derivatives of vertices by the unknowns of a frame, against finite differences."""

import pytest
import torch

from headfit.fitting.parameters import FitParameters
from headfit.fitting.second_order.motion import VertexMotion, jacobian, weighted_rows
from headfit.fitting.second_order.unknowns import SOLVED, Columns
from headfit.head import load
from headfit.head.rotation import axis_angle_to_matrix

RATES = dict.fromkeys(SOLVED, 0.1)


@pytest.mark.slow
def test_derivatives_of_all_vertices_agree_with_finite_differences():
    """Of a posed, expressive head with free offsets and detail, whose pivots follow the units."""
    torch.manual_seed(0)
    head = load("default")
    head.pivot_expression_basis = torch.randn_like(head.pivot_expression_basis) * 0.005
    geometry = FitParameters(head, frame_count=2, smoothness=30.0)
    for parameter, size in ((geometry.identity, 0.5), (geometry.offset_field, 5e-4), (geometry.log_scale, 0.1)):
        parameter.data.normal_(0, size)
    for name in (*SOLVED.values(), "detail_mm"):
        getattr(geometry, name).data.normal_(0, 0.1)
    columns, frame = Columns.of(geometry, RATES), torch.tensor(1)
    motion = VertexMotion(geometry, columns)(frame)
    at = columns.values(geometry, frame)
    for name, of_group in columns.parameter.items():
        step = torch.zeros_like(at)
        step[of_group] = torch.randn_like(step[of_group])
        ends = []
        for sign in (1, -1):
            columns.store(geometry, frame, at + sign * 1e-3 * step)
            with torch.no_grad():
                ends.append(geometry(frame[None])[0][0])
        expected = (ends[0] - ends[1]) / 2e-3
        torch.testing.assert_close(motion @ step, expected, atol=1e-3 * float(expected.abs().max()), rtol=0, msg=name)


def test_jacobian_of_a_batched_function_is_that_of_autograd():
    at = torch.tensor([0.3, -0.2, 0.9])
    expected = torch.autograd.functional.jacobian(lambda x: axis_angle_to_matrix(x), at)
    torch.testing.assert_close(jacobian(axis_angle_to_matrix, at), expected)


def test_weighted_rows_are_the_product_with_a_sparse_matrix():
    dense = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.5, -3.0]])
    table = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(weighted_rows(table, dense.to_sparse_csr()), dense @ table)


def test_groups_without_a_rate_have_no_columns(true_module):
    geometry = true_module.model.geometry
    columns = Columns.of(geometry, {"translation": 0.1, "expression": 0.2, "rotation": 0.0})
    assert list(columns.parameter) == ["translation", "expression"]
    assert len(columns) == 3 + geometry.expression.shape[1]
    assert columns.longest.tolist() == pytest.approx([0.1] * 3 + [0.2] * (len(columns) - 3))
