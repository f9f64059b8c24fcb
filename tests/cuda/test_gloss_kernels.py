"""The kernels of mirrored_gloss against the CPU path, bit for bit: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch

from headfit.raster import gloss
from headfit.raster.backend import DEVICES
from tests.support.kernel_scenes import F32, F64, STREAM, assert_same_bits, noise

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_on_the_cpu(gpu: Any, shim: ModuleType, dtype: torch.dtype) -> None:
    """Two views of 300 vertices, of two kinds or none."""
    shim.take_streams()
    g = torch.Generator().manual_seed(1)
    count = 2 * gloss.GLOSS_PART + 44
    vertices, normals, centres, forms = (
        torch.randn(shape, generator=g, dtype=F64).to(dtype)
        for shape in ((2, count, 3), (2, count, 3), (2, 3), (2, 9, 9))
    )
    kind = torch.randint(-1, 2, (count,), generator=g, dtype=torch.int32)
    inputs = vertices, torch.nn.functional.normalize(normals, dim=-1), centres, forms + forms.mT, kind
    want = gloss.gloss_of(*inputs)
    assert_same_bits([gpu.gloss_of(*inputs)], [want])
    grad = noise(want)
    of_cpu = gloss.gloss_backward(*inputs, grad)
    assert all(x.any() for x in of_cpu) and of_cpu[2].shape == (6, 2, 9, 9)
    assert_same_bits(gpu.gloss_backward(*inputs, grad), of_cpu)
    assert shim.take_streams() == {STREAM}


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["gloss", "gloss_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
