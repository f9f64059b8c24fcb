import pytest
import torch
import torch.nn.functional as F

from headfit.raster import sh_basis, shading
from headfit.render.appearance import Appearance, fill_holes, gloss, sample_albedo, splat_albedo


def test_set_albedo_is_read_back():
    torch.manual_seed(0)
    appearance = Appearance(64, torch.eye(3)[:2])
    albedo = torch.rand(1, 3, 64, 64)
    appearance.set_albedo(albedo)
    torch.testing.assert_close(appearance.albedo(), albedo)


def test_sampling_at_texel_centres_returns_texels_with_v_up():
    albedo = torch.rand(1, 3, 8, 8)
    uv = torch.tensor([[2.5 / 8, 1 - 0.5 / 8], [7.5 / 8, 1 - 6.5 / 8]])  # column 2, row 0; column 7, row 6
    expected = torch.stack([albedo[0, :, 0, 2], albedo[0, :, 6, 7]])
    torch.testing.assert_close(sample_albedo(albedo, uv), expected)


def test_splat_is_the_transpose_of_sampling():
    torch.manual_seed(0)
    uv, colour, weight = torch.rand(100, 2), torch.rand(100, 3), torch.rand(100)
    texture = torch.rand(1, 3, 16, 16)
    total, weights = splat_albedo(uv, colour, weight, 16)
    inner = (sample_albedo(texture, uv) * colour * weight[:, None]).sum()
    torch.testing.assert_close((texture * total).sum(), inner)
    torch.testing.assert_close(weights.sum(), weight.sum())


def test_fill_holes_keeps_known_texels_and_spreads_them():
    total, weight = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    total[..., 4:8, 4:8], weight[..., 4:8, 4:8] = 0.3 * 5, 5.0
    filled = fill_holes(total, weight, torch.ones(3))
    torch.testing.assert_close(filled[..., 4:8, 4:8], torch.full((1, 3, 4, 4), 0.3))
    torch.testing.assert_close(filled, torch.full_like(filled, 0.3))


def test_gains_are_relative_to_the_mean_camera_and_one_for_strangers():
    appearance = Appearance(64, torch.eye(3)[:2])
    with torch.no_grad():
        appearance.log_gain.copy_(torch.tensor([[0.3] * 3, [0.1] * 3]))
    gains = appearance.gain(torch.tensor([0, 1, -1]))
    torch.testing.assert_close(gains.log()[:, 0], torch.tensor([0.1, -0.1, 0.0]))


def test_harmonics_are_orthogonal_on_the_sphere():
    torch.manual_seed(0)
    normal = torch.nn.functional.normalize(torch.randn(200_000, 3), dim=-1)
    gram = sh_basis(normal).T @ sh_basis(normal) / len(normal)
    off_diagonal = gram - gram.diag().diag()
    assert off_diagonal.abs().max() < 0.01
    assert gram.diag().min() > 0.05


def test_a_cameras_residual_light_is_its_own_and_has_no_mean():
    appearance = Appearance(64, torch.tensor([[0.0, 0, 1], [1, 0, 0], [0.1, 0, 1], [2, 0, 0]]), trained=[0, 2])
    with torch.no_grad():
        appearance.camera_light[0, 3] = 0.4
        appearance.log_gain[0] = 0.2
    *both, near = appearance.lights(torch.tensor([0, 2, -1, 3]))
    assert torch.equal(appearance.gain(torch.tensor([1, -1])), torch.ones(2, 3))
    expected = (
        0.4
        * torch.exp(torch.tensor(-5.0 / 4.61))
        / (torch.exp(torch.tensor(-5.0 / 4.61)) + torch.exp(torch.tensor(-1.0)))
    )
    torch.testing.assert_close(near[3] - both[2][3], (expected - 0.2).expand(3), msg="nearer cameras count more")
    torch.testing.assert_close(both[2], appearance.light)
    torch.testing.assert_close(both[0] - both[2], both[2] - both[1])
    front = torch.tensor([[0.0, 0.0, 1.0]])
    assert shading(front, both[0])[0, 0] > shading(front, both[2])[0, 0] > shading(front, both[1])[0, 0]


def test_gloss_is_a_form_of_degree_four_with_the_right_gradient():
    torch.manual_seed(0)
    mirrored = torch.nn.functional.normalize(torch.randn(20, 3, dtype=torch.float64), dim=-1)
    form = torch.randn(9, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: gloss(mirrored, f), form)
    x, _, z = mirrored.unbind(-1)
    one = torch.zeros(9, 9, dtype=torch.float64)
    one[1, 6] = 2.0  # x times z x
    torch.testing.assert_close(gloss(mirrored, one), 2 * x * z * x)


@pytest.mark.parametrize("count", [0, 1, 512, 1300])
def test_sampling_a_list_of_points_is_bilinear(count):
    generator = torch.Generator().manual_seed(0)
    albedo = torch.rand(1, 3, 16, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    uv = (torch.rand(count, 2, generator=generator, dtype=torch.float64) * 1.2 - 0.1).requires_grad_()
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, :, None]
    expected = F.grid_sample(albedo, grid, padding_mode="border", align_corners=False)[0, :, :, 0].T
    sampled = sample_albedo(albedo, uv)
    torch.testing.assert_close(sampled, expected)
    weight = torch.rand(sampled.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(
        *(torch.autograd.grad((x * weight).sum(), (albedo, uv)) for x in (sampled, expected)), strict=True
    ):
        torch.testing.assert_close(one, other)
