"""Without any mask the prior of the offsets' size holds scalp and neck; one mask among the views switches it off."""

from types import SimpleNamespace

import pytest
import torch

from headfit.fitting.config import Stage
from headfit.fitting.settings import load_config
from headfit.fitting.terms.offset_size import OFFSET, offset_size_loss


def loss(offsets: torch.Tensor, *has_mask: bool) -> torch.Tensor:
    seen = SimpleNamespace(offsets=offsets, has_mask=torch.tensor(has_mask)[:, None, None])
    return offset_size_loss(seen, None, Stage())


def test_it_is_the_mean_square_in_units_of_the_usual_size():
    offsets = torch.zeros(4, 3)
    offsets[1, 2] = 2 * OFFSET
    assert loss(offsets, False, False) == pytest.approx(1.0)
    assert loss(offsets, False, True) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_its_gradient_agrees_with_finite_differences(axis):
    torch.manual_seed(0)
    offsets = (torch.randn(5, 3, dtype=torch.float64) * OFFSET).requires_grad_()
    gradient = torch.autograd.grad(loss(offsets, False), offsets)[0][3, axis]
    step = torch.zeros_like(offsets)
    step[3, axis] = 1e-6
    difference = (loss(offsets + step, False) - loss(offsets - step, False)) / 2e-6
    torch.testing.assert_close(gradient, difference)


def test_the_default_fit_has_it_wherever_offsets_move():
    stages = load_config("configs/fit.yaml").stages
    assert all(stage.weights["offset_size"] > 0 for stage in stages.values() if stage.rates.get("offsets"))
