"""The prior of the appearance pulls what no pixel sees back to its surroundings."""

from types import SimpleNamespace

import torch

from headfit.fitting.config import Stage
from headfit.fitting.terms.appearance import DETAIL, GAIN, appearance_loss
from headfit.render import Appearance


def loss(appearance: Appearance) -> torch.Tensor:
    return appearance_loss(None, SimpleNamespace(appearance=appearance), Stage())


def test_a_coarse_texture_under_one_light_costs_nothing():
    appearance = Appearance(64, torch.randn(3, 3))
    appearance.levels[0].data.uniform_(0, 1)
    appearance.light.data.normal_()
    assert loss(appearance) == 0


def test_costs_are_squares_in_units_of_the_usual_size():
    appearance = Appearance(64, torch.randn(3, 3))
    appearance.levels[2].data.fill_(DETAIL)
    torch.testing.assert_close(loss(appearance), torch.tensor(1.0))
    appearance.log_gain.data.fill_(2 * GAIN)
    torch.testing.assert_close(loss(appearance), torch.tensor(5.0))


def test_an_unseen_texel_returns_to_its_surroundings():
    appearance = Appearance(64, torch.randn(3, 3))
    appearance.levels[3].data[0, :, 10, 10] = 1.0
    loss(appearance).backward()
    grad = appearance.levels[3].grad
    assert (grad[0, :, 10, 10] > 0).all() and grad.ne(0).sum() == 3 and appearance.levels[0].grad is None
