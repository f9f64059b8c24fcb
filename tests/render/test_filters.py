"""Image filters against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from headfit.render.filters import double, gaussian_blur, without_gradient_at


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 2), (5, 8)])
def test_double_is_bilinear_interpolation(size):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    doubled, expected = double(image), F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(doubled, expected)
    weight = torch.rand(doubled.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad((x * weight).sum(), image) for x in (doubled, expected)), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(double, image)


def test_the_blur_replicates_edges():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 6, 9, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    padded = F.pad(image.permute(0, 3, 1, 2), [20] * 4, mode="replicate").permute(0, 2, 3, 1)
    torch.testing.assert_close(gaussian_blur(image, 1.5), gaussian_blur(padded, 1.5)[:, 20:-20, 20:-20])
    assert torch.autograd.gradcheck(lambda x: gaussian_blur(x, 1.5), image)


def test_a_gradient_is_held_at_some_pixels():
    image = torch.rand(1, 2, 3, 2, requires_grad=True)
    held = torch.tensor([[[True, False, False], [False, True, False]]])
    shown = without_gradient_at(image, held)
    assert torch.equal(shown, image)
    (grad,) = torch.autograd.grad((shown * shown.detach()).sum(), image)
    assert torch.equal(grad, torch.where(held[..., None], 0.0, image))
