"""The prior of the offsets' size, and where it is used."""

from types import SimpleNamespace

import pytest
import torch

from headfit.fitting.config import Stage
from headfit.fitting.settings import load_config
from headfit.fitting.terms.offset_size import OFFSET, offset_size_loss


def loss(offsets: torch.Tensor) -> torch.Tensor:
    return offset_size_loss(SimpleNamespace(offsets=offsets), None, Stage())


def test_it_is_the_mean_square_in_units_of_the_usual_size():
    offsets = torch.zeros(4, 3)
    offsets[1, 2] = 2 * OFFSET
    assert loss(offsets) == pytest.approx(1.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_its_gradient_agrees_with_finite_differences(axis):
    torch.manual_seed(0)
    offsets = (torch.randn(5, 3, dtype=torch.float64) * OFFSET).requires_grad_()
    gradient = torch.autograd.grad(loss(offsets), offsets)[0][3, axis]
    step = torch.zeros_like(offsets)
    step[3, axis] = 1e-6
    difference = (loss(offsets + step) - loss(offsets - step)) / 2e-6
    torch.testing.assert_close(gradient, difference)


def test_only_the_fit_without_masks_has_it_and_holds_the_size_once_colours_move_the_head():
    with_masks, without = load_config("configs/fit.yaml").stages, load_config("configs/no-masks.yaml").stages
    assert set(with_masks) - set(without) == {"hair"}
    for name, stage in without.items():
        assert stage.weights["offset_size"] > 0 == with_masks[name].weights.get("offset_size", 0)
        held = {"scale": 0.0, "identity": 0.0} if name in ("photo", "refine", "polish") else {}
        assert stage.rates == with_masks[name].rates | held and stage.steps == with_masks[name].steps
