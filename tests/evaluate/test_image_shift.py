import math

import pytest
import torch

from headfit.evaluate.image_shift import estimate_shift


def blobs(x: float, y: float) -> torch.Tensor:
    """Three soft discs, moved by (x, y) pixels: `[1,60,80,1]`."""
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    picture = torch.zeros(60, 80)
    for row, column, radius in ((25, 30, 9), (35, 50, 6), (20, 55, 4)):
        distance = ((rows - row - y).square() + (columns - column - x).square()).sqrt()
        picture = torch.maximum(picture, torch.sigmoid((radius - distance) / 2))
    return picture[None, ..., None]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-0.4, 5.0)])
def test_a_known_shift_is_found(shift):
    rendered = blobs(0, 0)
    found = estimate_shift(rendered, blobs(*shift), torch.ones_like(rendered))[0]
    torch.testing.assert_close(found, torch.tensor(shift), atol=0.03, rtol=0)


def test_another_thing_in_the_picture_hardly_moves_it():
    target = blobs(2.0, 1.0)
    target[:, 45:, 10:30] = 1.0
    found = estimate_shift(blobs(0, 0), target, torch.ones_like(target))[0]
    torch.testing.assert_close(found, torch.tensor([2.0, 1.0]), atol=0.15, rtol=0)


def test_what_has_no_weight_does_not_count():
    target = blobs(2.0, 1.0)
    weight = torch.ones_like(target)
    target[:, :, 42:] = blobs(-3.0, 0.0)[:, :, 42:]
    weight[:, :, 34:] = 0
    found = estimate_shift(blobs(0, 0), target, weight)[0]
    torch.testing.assert_close(found, torch.tensor([2.0, 1.0]), atol=0.1, rtol=0)


def test_pictures_without_borders_have_no_shift():
    flat = torch.full((1, 60, 80, 1), 0.5)
    assert all(math.isnan(value) for value in estimate_shift(flat, flat, torch.ones_like(flat))[0])
