import torch

from headfit.fitting.optimizer import FitAdam


def test_it_is_adam_where_no_option_is_set():
    torch.manual_seed(0)
    a = torch.randn(5, 3, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    ours = FitAdam([{"params": [a], "lr": 0.1}], eps=1e-8)
    theirs = torch.optim.Adam([b], lr=0.1, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(20):
        for x, optimizer in ((a, ours), (b, theirs)):
            optimizer.zero_grad()
            ((x - 1) ** 4).sum().backward()
            optimizer.step()
    torch.testing.assert_close(a, b)


def test_rows_without_gradient_stand_still_and_others_do_not_notice():
    alone = torch.ones(1, 2, requires_grad=True)
    rows = torch.ones(2, 2, requires_grad=True)
    first = FitAdam([{"params": [alone], "lr": 0.1, "rows": True}])
    second = FitAdam([{"params": [rows], "lr": 0.1, "rows": True}])
    for step in range(6):
        second.zero_grad()
        (rows[step % 2] ** 2).sum().backward()
        second.step()
    for _ in range(3):
        first.zero_grad()
        (alone**2).sum().backward()
        first.step()
    torch.testing.assert_close(rows, alone.expand(2, 2))


def test_an_isotropic_step_keeps_the_gradients_direction():
    x = torch.zeros(4, 3, requires_grad=True)
    direction = torch.randn(4, 3)
    optimizer = FitAdam([{"params": [x], "lr": 0.1, "isotropic": True}])
    (x * direction).sum().backward()
    optimizer.step()
    torch.testing.assert_close(x, -0.1 * direction / direction.square().mean().sqrt())


def test_a_group_with_rate_zero_stands_still():
    x = torch.ones(2, requires_grad=True)
    optimizer = FitAdam([{"params": [x], "lr": 0.0}])
    x.sum().backward()
    optimizer.step()
    assert (x == 1).all() and not optimizer.state[x]
