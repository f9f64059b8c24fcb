import torch

from headfit.fitting.smooth_offsets import SmoothOffsets


def grid(n: int = 9) -> torch.Tensor:
    i = torch.arange(n * n).view(n, n)
    a, b, c, d = i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]
    return torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([a, c, d], -1).view(-1, 3)])


def offsets(stiffness=None, rigid=None) -> SmoothOffsets:
    n = 81
    return SmoothOffsets(
        grid(),
        torch.ones(n) if stiffness is None else stiffness,
        torch.zeros(n, dtype=torch.bool) if rigid is None else rigid,
        smoothness=5.0,
    )


def test_a_constant_field_is_a_constant_offset():
    field = torch.ones(81, 3)
    torch.testing.assert_close(offsets()(field), field)


def test_one_vertex_moves_its_neighbourhood_less_and_less_with_distance():
    field = torch.zeros(81, 3)
    field[40, 0] = 1.0
    moved = offsets()(field)[:, 0].view(9, 9)[4, 4:]
    assert (moved.diff() < 0).all() and (moved > 0).all() and moved[0] < 0.3


def test_its_gradient_is_exact():
    module = offsets(stiffness=torch.linspace(1, 5, 81), rigid=torch.arange(81) < 3)
    module.double()
    field = torch.randn(81, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (field,))


def test_rigid_parts_stay_and_stiff_ones_follow():
    rigid = torch.arange(81) < 9
    module = offsets(rigid=rigid)
    assert (module(torch.randn(81, 3))[rigid] == 0).all()
    stiffness = torch.ones(81)
    stiffness[40] = 100.0
    field = torch.zeros(81, 3)
    field[40] = 1.0
    assert offsets(stiffness=stiffness)(field)[40, 0] < 0.1 * offsets()(field)[40, 0]


def test_what_is_solved_for_once_follows_the_field_and_its_dtype():
    module, field = offsets(), torch.nn.Parameter(torch.randn(81, 3))
    with torch.no_grad():
        first = module(field)
        assert module(field) is first, "nothing has changed"
        field += 1
        torch.testing.assert_close(module(field), first + 1)
        field.data = field.data.double()
        assert module.double()(field).dtype == torch.float64
    assert module(field).requires_grad


def test_bending_is_zero_for_constant_and_positive_for_bent_fields():
    module = offsets()
    assert module.bending(torch.ones(81, 3)) < 1e-10
    assert module.bending(torch.randn(81, 3)) > 1
