"""The kernels of sample_texture against the CPU path: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import texture
from headfit.raster.backend import DEVICES

pytestmark = pytest.mark.slow

F32, F64 = torch.float32, torch.float64
MIPS, HEIGHT, WIDTH = 4, 16, 32  # of the texture
STREAM = 4321  # of conftest.py
dtypes = pytest.mark.parametrize("dtype", [F32, F64])
Inputs = tuple[Tensor, int, int, int, Tensor, Tensor, Tensor | None, int]


def inputs(dtype: torch.dtype, *, shared: bool = True, channels: int = 3, grouped: bool = True) -> Inputs:
    """Arguments of sample_pyramid: two images of a warped sheet with a hole, in three charts, magnified to minified."""
    g = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(21.0, dtype=F64), torch.arange(38.0, dtype=F64), indexing="ij")
    uv = torch.stack([x + 0.1 * x * x + torch.sin(y), 2 * y + torch.cos(0.7 * x)], -1) / 70
    index_img = ((x + y) // 9).int() % 4 - 1
    images = torch.rand(1 if shared else 2, HEIGHT, WIDTH, channels, generator=g, dtype=F64)
    group = torch.tensor([4, 4, 9], dtype=torch.int32) if grouped else None
    return (
        texture.pyramid(images, MIPS).to(dtype),
        HEIGHT,
        WIDTH,
        MIPS,
        torch.stack([uv, 1.1 - uv]).to(dtype),
        torch.stack([index_img, index_img.flip(1)]).contiguous(),
        group,
        3,
    )


def assert_close(got: Tensor, want: Tensor) -> None:
    bound = 1e-5 if want.dtype == F32 else 1e-12
    assert got.shape == want.shape and got.dtype == want.dtype
    assert float((got.double() - want.double()).norm()) <= bound * float(want.double().norm())


def gradients(op: Any, sample: Inputs, level: Tensor, grad: Tensor, needs: tuple[bool, bool]) -> tuple[Tensor, ...]:
    return op(*sample[:5], level, grad, *needs)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("shared,channels,grouped", [(True, 3, True), (False, 1, False), (False, 5, True)])
@dtypes
def test_same_as_on_the_cpu(
    gpu: Any, dtype: torch.dtype, shared: bool, channels: int, grouped: bool, deterministic: bool
) -> None:
    sample = inputs(dtype, shared=shared, channels=channels, grouped=grouped)
    image, level = texture.sample_pyramid(*sample)
    assert (level[sample[5] >= 0] == 0).any() and (level > 1).any() and (level[sample[5] < 0] == -1).all()
    for got, want in zip(gpu.sample_pyramid(*sample), (image, level), strict=True):
        assert_close(got, want)
    grad = torch.randn(image.shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(dtype)
    torch.use_deterministic_algorithms(deterministic)
    for needs in ((True, True), (True, False), (False, True)):
        ours = gradients(gpu.sample_pyramid_backward, sample, level, grad, needs)
        for got, want in zip(ours, gradients(texture.sample_pyramid_backward, sample, level, grad, needs), strict=True):
            assert_close(got, want)
    torch.use_deterministic_algorithms(False)


def test_deterministic_in_any_order(gpu: Any, shim: ModuleType) -> None:
    sample = inputs(F32)
    image, level = texture.sample_pyramid(*sample)
    for deterministic in (True, False):
        torch.use_deterministic_algorithms(deterministic)
        runs = []
        for seed in range(3):
            shim.seed(seed)
            runs.append(gradients(gpu.sample_pyramid_backward, sample, level, image, (True, False))[0])
        torch.use_deterministic_algorithms(False)
        assert all(torch.equal(runs[0], run) for run in runs[1:]) == deterministic


def test_faces_that_do_not_exist_are_background(gpu: Any) -> None:
    sample = inputs(F32)
    bad, background = sample[5].clone(), sample[5].clone()
    bad[0, 5:12, 5:20], background[0, 5:12, 5:20] = 3, -1
    results = []
    for index_img in (bad, background):
        changed = (*sample[:5], index_img, *sample[6:])
        image, level = gpu.sample_pyramid(*changed)
        results.append((image, level, *gradients(gpu.sample_pyramid_backward, changed, level, image + 1, (True, True))))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_one_stream(gpu: Any, shim: ModuleType) -> None:
    shim.take_streams()
    sample = inputs(F32)
    image, level = gpu.sample_pyramid(*sample)
    gradients(gpu.sample_pyramid_backward, sample, level, image, (True, True))
    assert shim.take_streams() == {STREAM}


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["sample_texture", "sample_texture_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
