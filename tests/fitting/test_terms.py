import pytest
import torch

from headfit.fitting.terms.expression import expression_prior
from headfit.fitting.terms.identity import identity_prior
from headfit.fitting.terms.landmark import point_distance
from headfit.fitting.terms.mask import blurred_mask_loss
from headfit.fitting.terms.term import mean_share_of_head
from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS
from headfit.render.filters import extend_by_one_pixel, gaussian_blur


def one_hot(size: int, edge: int) -> torch.Tensor:
    image = torch.zeros(1, size, size, 2)
    image[:, :, :edge, 0], image[:, :, edge:, 1] = 1, 1
    return image


@pytest.mark.parametrize("blur", [0.5, 2.0])
def test_mask_loss_does_not_depend_on_the_resolution(blur):
    values = []
    for size in (32, 64):
        loss = blurred_mask_loss(
            one_hot(size, size // 2),
            one_hot(size, size // 4),
            torch.ones(1, size, size),
            torch.ones(2),
            torch.tensor([size * size / 2]),
            blur=blur * size / 32,
        )
        values.append(loss)
    torch.testing.assert_close(values[0], values[1], rtol=0.03, atol=0)
    assert 0.6 < values[0] <= 1  # half the head's area is wrong, in two classes; a blur takes some of it


def test_ignored_pixels_carry_no_mask_loss():
    weight = torch.ones(1, 32, 32)
    weight[:, :, 8:16] = 0
    loss = blurred_mask_loss(one_hot(32, 16), one_hot(32, 8), weight, torch.ones(2), torch.tensor([512.0]), blur=1)
    assert loss == 0


def test_blur_keeps_the_sum_and_reaches_further():
    image = torch.zeros(1, 33, 33, 1)
    image[:, 16, 16] = 1
    blurred = gaussian_blur(image, 2.0)
    torch.testing.assert_close(blurred.sum(), torch.tensor(1.0))
    y = torch.arange(33.0)
    second_moment = (blurred[0, ..., 0].sum(1) * (y - 16) ** 2).sum()
    torch.testing.assert_close(second_moment, torch.tensor(4.0), rtol=0.03, atol=0)


@pytest.mark.parametrize("residual", [0.001, 0.5])
def test_colour_loss_is_quadratic_near_zero_and_linear_far_out(residual):
    image = torch.zeros(1, 4, 4, 3)
    loss = mean_share_of_head(loss_of_pixels(image + residual, image, *COLOUR_LOSS), torch.tensor([16.0]))
    expected = 3 * ((residual**2 + 0.02**2) ** 0.5 - 0.02)
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_landmarks_that_are_missing_do_not_count():
    points = torch.rand(1, 68, 2) * 100
    target = points.clone()
    target[:, 0] += 1000
    weight = torch.ones(1, 68)
    weight[:, 0] = 0
    assert point_distance(points, target, weight, torch.tensor([1e4])) == 0
    assert point_distance(points, target, torch.zeros(1, 68), torch.tensor([1e4])) == 0


def test_units_outside_their_range_cost_more():
    inside, outside = torch.zeros(1, 52), torch.zeros(1, 52)
    inside[0, 3], outside[0, 3] = 0.5, -0.5
    activation, signed = torch.zeros(52), -torch.ones(52)
    assert expression_prior(outside, activation) > 10 * expression_prior(inside, activation)
    assert expression_prior(outside, signed) == expression_prior(inside, signed)
    assert expression_prior(4 * outside, signed) > 10 * expression_prior(inside, signed)


def test_bounds_of_units_are_soft_and_push_back_inwards():
    lowest = torch.tensor([0.0, -1.0])
    for value, unit, sign in ((-0.1, 0, -1), (1.1, 0, 1), (-1.1, 1, -1), (1.1, 1, 1)):
        expression = torch.zeros(1, 2, dtype=torch.float64)
        expression[0, unit] = value
        expression.requires_grad_()
        (slope,) = torch.autograd.grad(expression_prior(expression, lowest.double()), expression)
        assert slope[0, unit] == pytest.approx(2 * value + sign * 40 * 0.1, abs=1e-6)
    edge = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert expression_prior(edge, lowest.double()) == 2, "at the bounds themselves only the square"


def test_people_are_weighed_by_the_spread_of_the_basis_and_strangers_are_not_forbidden():
    draw = torch.Generator().manual_seed(0)
    usual = torch.randn(10000, generator=draw, dtype=torch.float64)
    assert identity_prior(usual) == pytest.approx(1.0, rel=0.1), "a person of the basis' own spread costs one"
    one, far, farther = (identity_prior(torch.tensor([b], dtype=torch.float64)) for b in (0.1, 6.0, 12.0))
    assert one == pytest.approx(0.01, rel=1e-3)
    assert 2 * far < farther < 3 * far, "far out it grows by the length, not by the square"
    assert identity_prior(torch.zeros(0)) == 0
    identity = torch.tensor([0.5, -4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(identity_prior, identity)


def test_colours_are_extended_by_one_pixel():
    image = torch.rand(1, 6, 8, 3)
    where = torch.zeros(1, 6, 8, dtype=torch.bool)
    where[:, 2:4, 3:5] = True
    extended = extend_by_one_pixel(image, where)
    torch.testing.assert_close(extended[0, 1, 2], image[0, 2, 3])
    torch.testing.assert_close(extended[0, 2, 5], image[0, 2:4, 4].mean(0))
    assert (extended[0, :, 6:] == 0).all()
