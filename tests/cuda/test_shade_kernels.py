"""The kernels of shade_pixels against the CPU path: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import lighting
from headfit.raster.backend import DEVICES
from tests.support.kernel_scenes import STREAM, assert_close, assert_same_bits

pytestmark = pytest.mark.slow

F32, F64 = torch.float32, torch.float64
HEIGHT, WIDTH = 37, 45  # neither a multiple of a block nor of the pixels that a thread sums


def inputs(dtype: torch.dtype, resting: bool = True) -> tuple[Any, ...]:
    """Arguments of shade: two images of noise, a third of it background; some light is below the least shading."""
    g = torch.Generator().manual_seed(3)
    noise = lambda *shape: torch.rand(*shape, generator=g, dtype=F64)  # noqa: E731
    light = 2 * noise(2, 9, 3) - 1
    light[:, 0] = 0.3
    floats = noise(2, HEIGHT, WIDTH, 3), 2 * noise(2, HEIGHT, WIDTH, 4) - 1, light, noise(2, 3)
    index_img, still = (noise(2, HEIGHT, WIDTH) * 3).int() - 1, noise(2, HEIGHT, WIDTH) < 0.3
    return *(x.to(dtype) for x in floats), index_img, still if resting else None


def gradients(op: Any, scene: tuple[Any, ...], needs: tuple[bool, bool, bool]) -> tuple[Tensor, ...]:
    grad = torch.randn(scene[0].shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(scene[0])
    return op(*scene, grad, *needs)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("resting", [False, True])
def test_same_as_on_the_cpu(gpu: Any, dtype: torch.dtype, resting: bool) -> None:
    scene = inputs(dtype, resting)
    assert_same_bits((gpu.shade(*scene),), (lighting.shade(*scene),))
    for needs in ((True, True, True), (True, False, False), (False, True, False), (False, False, True)):
        got, want = (gradients(op, scene, needs) for op in (gpu.shade_backward, lighting.shade_backward))
        assert_same_bits(got[:2], want[:2])
        if needs[2]:
            assert want[2].all()
            for row, other in zip(got[2], want[2], strict=True):
                assert_close(row, other)


def test_the_same_bits_in_any_order(gpu: Any, shim: ModuleType) -> None:
    scene, runs = inputs(F32), []
    for seed in range(3):
        shim.seed(seed)
        runs.append(gradients(gpu.shade_backward, scene, (True, True, True)))
    for run in runs[1:]:
        assert_same_bits(run, runs[0])


@pytest.mark.parametrize("images,height,width", [(0, 4, 5), (2, 0, 5), (2, 4, 0)])
def test_empty_images(gpu: Any, images: int, height: int, width: int) -> None:
    albedo, surface, light, gain, index_img, still = inputs(F32)
    crop = slice(images), slice(height), slice(width)
    scene = albedo[crop], surface[crop], light[:images], gain[:images], index_img[crop], still[crop]
    assert gpu.shade(*scene).shape == (images, height, width, 3)
    sums = gradients(gpu.shade_backward, scene, (True, True, True))[2]
    assert sums.shape == (images, 30) and not sums.any()


def test_one_stream(gpu: Any, shim: ModuleType) -> None:
    shim.take_streams()
    scene = inputs(F32)
    gpu.shade(*scene)
    gradients(gpu.shade_backward, scene, (True, True, True))
    assert shim.take_streams() == {STREAM}


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["shade", "shade_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
