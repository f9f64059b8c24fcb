"""Sizes that a launch cannot have, and numbers at the end of the range of floats."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import ops
from tests.support.kernel_scenes import assert_close, noise, soup

pytestmark = pytest.mark.slow


def mesh(images: int) -> tuple[Tensor, Tensor]:
    """One triangle in each image."""
    return torch.rand(images, 3, 3) + 0.5, torch.arange(3, dtype=torch.int32).reshape(1, 3)


def rasterize(gpu: Any) -> None:
    gpu.rasterize(*mesh(65_536), 1, 1)


def rasterize_backward(gpu: Any) -> None:
    index_img = torch.zeros(65_536, 1, 1, dtype=torch.int32)
    gpu.rasterize_backward(*mesh(65_536), index_img, torch.zeros(65_536, 1, 1, 3), torch.zeros(65_536, 1, 1))


def edges_of(gpu: Any, images: int, rows: int) -> None:
    image, face = torch.zeros(images, rows, 1, 1), torch.zeros(1, dtype=torch.int32)
    v_pix, faces = mesh(images)
    gpu.edge_grad_backward(image, image, None, v_pix, faces, faces * 0 - 1, face, image[..., 0].int())


def wide(gpu: Any) -> None:
    """2^31 values in a row; an empty batch, since the arrays would not fit into memory."""
    index_img, bary = torch.zeros(0, 1, 2**20, dtype=torch.int32), torch.zeros(0, 1, 2**20, 3)
    gpu.interpolate(torch.zeros(0, 3, 2**11), mesh(0)[1], index_img, bary, None)


@pytest.mark.parametrize(
    "call, message",
    [
        (rasterize, "65536 images are too many for one call, at most 65535"),
        (rasterize_backward, "65536 images"),
        (lambda gpu: edges_of(gpu, 1, 262_141), "262141 rows are too many for one call, at most 262140"),
        (lambda gpu: edges_of(gpu, 32_768, 1), "32768 images are too many for one call, at most 32767"),
        (wide, "2147483648 values in a row"),
    ],
)
def test_too_large_for_a_launch(gpu: Any, shim: ModuleType, call: Callable[[Any], None], message: str) -> None:
    """An error that says what to do less of, before anything was enqueued."""
    shim.take_streams()
    with pytest.raises(ValueError, match=message):
        call(gpu)
    assert shim.take_streams() == set()


@pytest.mark.parametrize("deterministic", [False, True])
def test_products_of_finite_coordinates_are_finite(gpu: Any, deterministic: bool) -> None:
    v_pix, faces = soup(30.0, count=300)
    g = torch.Generator().manual_seed(4)
    v_pix[torch.rand(v_pix.shape, generator=g) < 0.04] = 3e38
    index_img, bary, depth = ops.rasterize(v_pix, faces, 45, 70)
    huge = (v_pix == 3e38).any(-1)[:, faces.long()].any(-1)
    assert any(huge[i, index_img[i][index_img[i] >= 0].long()].any() for i in range(2))
    inputs = v_pix, faces, index_img, noise(bary), noise(depth)
    want = ops.rasterize_backward(*inputs)
    assert want.isfinite().all()
    torch.use_deterministic_algorithms(deterministic)
    got = gpu.rasterize_backward(*inputs)
    torch.use_deterministic_algorithms(False)
    assert_close(got, want)


def test_limits_hold_for_workspaces(shim: ModuleType) -> None:
    """The size of a workspace is computed before anything is checked, so it must not overflow."""
    assert shim.rasterize_bytes(1, 2**20, 2**22) == 8 * (2**42 + 1 + 2**32 * 128)
