"""The temporal prior: it suppresses jitter and does not restrain real motion."""

import torch

from headfit.fitting.terms.temporal import NOISE, neighbours, temporal_prior


def cost_of_step(metres: float) -> torch.Tensor:
    """Cost of a frame in which all points moved by `metres` since the previous frame."""
    points = torch.zeros(1, 5, 3, dtype=torch.float64)
    points[..., 1] = metres
    return temporal_prior(points, torch.zeros(1, 2, 5, 3, dtype=torch.float64), torch.tensor([[True, False]]))[0]


def test_a_step_as_large_as_the_noise_costs_half_of_what_a_large_one_does():
    assert cost_of_step(0.0) == 0
    torch.testing.assert_close(cost_of_step(NOISE), torch.tensor(0.25, dtype=torch.float64))
    torch.testing.assert_close(cost_of_step(1.0), torch.tensor(0.5, dtype=torch.float64), rtol=1e-5, atol=0)


def test_gradient_agrees_with_finite_differences_and_lets_go_of_what_moves():
    generator = torch.Generator().manual_seed(0)
    points = (torch.randn(2, 4, 3, generator=generator, dtype=torch.float64) * NOISE).requires_grad_()
    beside = torch.randn(2, 2, 4, 3, generator=generator, dtype=torch.float64) * NOISE
    there = torch.tensor([[True, True], [False, True]])
    assert torch.autograd.gradcheck(lambda p: temporal_prior(p, beside, there), points, eps=1e-9, atol=1e-4)

    def pull(metres: float) -> float:
        moved = torch.full((1, 1, 3), metres, dtype=torch.float64, requires_grad=True)
        temporal_prior(moved, torch.zeros(1, 2, 1, 3), torch.tensor([[True, True]])).sum().backward()
        return float(moved.grad.norm())

    assert pull(20 * NOISE) < 0.01 * pull(0.3 * NOISE)


def test_an_even_movement_is_not_held_back():
    points = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    step = torch.tensor([0.0, 0.3 * NOISE, 0.0], dtype=torch.float64)
    beside = torch.stack([-step, step])[None, :, None]
    temporal_prior(points, beside, torch.tensor([[True, True]])).sum().backward()
    assert points.grad.abs().max() < 1e-9


def test_neighbours_end_with_the_capture_and_with_what_is_known():
    assert neighbours([0, 2, 4], {0, 1, 2, 4}) == [(None, 1), (1, None), (None, None)]
