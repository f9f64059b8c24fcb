"""The solution of normal equations within bounds, and samples that stand for all pixels."""

import numpy as np
import pytest
import scipy.optimize
import torch

from headfit.fitting.second_order.detail_basis import DetailBasis, FunctionGroup
from headfit.fitting.second_order.motion import FrameMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.person import sum_of
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.sampling import sample_per_view


def equations_of(rows: np.ndarray, right: np.ndarray) -> NormalEquations:
    return NormalEquations(torch.from_numpy(rows.T @ rows), torch.from_numpy(-rows.T @ right))


@pytest.mark.parametrize("bound", [1e6, 0.3])
def test_steps_are_those_of_bounded_least_squares(bound):
    """Unknowns of very different units; where some are held, the others make up for it."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 6)) * np.array([1, 1e3, 1e-3, 1, 10, 1])
    right = rng.normal(size=60) * 4
    limit = bound / np.abs(rows).mean(0)
    expected = scipy.optimize.lsq_linear(rows, right, (-limit, limit)).x
    found = equations_of(rows, right).solve(torch.from_numpy(-limit), torch.from_numpy(limit)).numpy()
    assert (np.abs(found) <= limit * (1 + 1e-9)).all()
    np.testing.assert_allclose(found / limit, expected / limit, atol=1e-3 * np.abs(expected / limit).max())


def test_frames_are_solved_for_together_with_what_they_share():
    """Three frames of two unknowns, and two of all; like least squares of all unknowns at once."""
    rng = np.random.default_rng(0)
    rows, right = rng.normal(size=(3, 20, 4)), rng.normal(size=(3, 20))
    whole = np.zeros((60, 8))
    for frame in range(3):
        whole[20 * frame : 20 * frame + 20, 2 * frame : 2 * frame + 2] = rows[frame, :, :2]
        whole[20 * frame : 20 * frame + 20, 6:] = rows[frame, :, 2:]
    expected = np.linalg.lstsq(whole, right.ravel(), rcond=None)[0]
    far = torch.full((8,), torch.inf).double()
    found = sum_of([equations_of(*of_frame) for of_frame in zip(rows, right, strict=True)], 2).solve(-far, far)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_unknowns_that_nothing_determines_stay_put():
    rows = np.array([[1.0, 0.0], [2.0, 0.0]])
    limit = torch.ones(2).double()
    step = equations_of(rows, np.array([1.0, 1.0])).solve(-limit, limit)
    assert step[0] == pytest.approx(0.6, rel=1e-3) and step[1] == 0


@pytest.mark.parametrize("moves", [False, True])
def test_equations_are_those_of_dense_rows(moves):
    """A mesh of two parts and a rigid triangle, whose detail is given by functions that reach one part, or both."""
    rng = torch.Generator().manual_seed(0)
    functions, by_detail = torch.zeros(9, 4), torch.randn(4, 4, generator=rng)
    reaching, vertices = [torch.tensor([0, 2, 3]), torch.tensor([1, 2])], [torch.arange(5), torch.arange(2, 7)]
    groups = []
    for functions_there, corners in zip(reaching, vertices, strict=True):
        functions[corners[:, None], functions_there] = torch.randn(len(corners), len(functions_there), generator=rng)
    functions[2:5, [0, 1, 3]] = 0  # where the parts meet, what both know
    for functions_there, corners in zip(reaching, vertices, strict=True):
        columns = (3 * functions_there[:, None] + torch.arange(3)).flatten()
        groups.append(FunctionGroup(columns, corners, functions[corners[:, None], functions_there]))
    detail = DetailBasis(by_detail, torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2]), groups)
    motion = FrameMotion(
        torch.randn(9, 3, 5, generator=rng), torch.randn(9, 3, 3, generator=rng), detail if moves else None
    )
    corners = torch.tensor([[5, 6, 3], [0, 2, 4], [7, 8, 8], [2, 1, 3], [3, 2, 4]])
    direction, value, weight = (torch.randn(5, *size, generator=rng) for size in ((3, 3), (), ()))
    found = NormalEquations.of(PointResiduals(corners, direction, value, weight.abs()), motion)
    derivatives = motion.by_unknown
    if moves:
        by_detail = torch.einsum("vab,vk->vakb", motion.linear, functions @ detail.by_detail).flatten(2)
        derivatives = torch.cat([derivatives, by_detail], dim=2)
    rows = torch.einsum("nca,ncap->np", direction, derivatives[corners])
    torch.testing.assert_close(found.matrix, (rows.T @ (weight.abs()[:, None] * rows)).double(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.gradient, (rows.T @ (weight.abs() * value)).double(), atol=1e-4, rtol=1e-4)


def test_samples_stand_for_all_candidates_of_their_view():
    candidates = torch.zeros(3, 50, dtype=torch.bool)
    candidates[0, 10:20] = candidates[2, 5] = True
    chosen, stand_for = sample_per_view(candidates, 20, torch.Generator().manual_seed(0))
    assert stand_for.tolist() == [0.5, 0.0, pytest.approx(0.05)]
    assert set(chosen[0].tolist()) == set(range(10, 20)) and set(chosen[2].tolist()) == {5}
    few, _ = sample_per_view(candidates, 5, torch.Generator().manual_seed(0))
    assert len(set(few[0].tolist())) == 5


def test_an_unknown_that_may_not_move_does_not_push_others_to_their_bounds():
    matrix = torch.tensor([[1.0, 0.99], [0.99, 1.0]], dtype=torch.float64)
    equations = NormalEquations(matrix, torch.tensor([-0.1, 0.9], dtype=torch.float64))
    bounds = torch.tensor([1.0, 0.0], dtype=torch.float64)
    step = equations.solve(-bounds, bounds)
    assert step[0] == pytest.approx(0.1, rel=1e-3) and step[1] == 0
