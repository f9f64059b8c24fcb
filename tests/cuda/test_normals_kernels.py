"""The kernels of vertex_normals against the CPU path, bit for bit: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import OppositeEdges, normals
from headfit.raster.backend import DEVICES
from tests.support.kernel_scenes import F32, F64, STREAM, assert_same_bits, noise

pytestmark = pytest.mark.slow

Inputs = tuple[Tensor, Tensor, Tensor]


def inputs(dtype: torch.dtype) -> Inputs:
    """Arguments of normals_of: two images of 300 vertices, some in no face, and 400 faces, some with a vertex twice."""
    g = torch.Generator().manual_seed(1)
    faces = torch.randint(0, 290, (400, 3), generator=g)
    faces[:3, 1] = faces[:3, 0]
    opposite = OppositeEdges(faces, 300)
    return torch.randn(2, 300, 3, generator=g, dtype=F64).to(dtype), opposite.first, opposite.edges


@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_on_the_cpu(gpu: Any, shim: ModuleType, dtype: torch.dtype) -> None:
    shim.take_streams()
    mesh = inputs(dtype)
    want = normals.normals_of(*mesh)
    assert (want[1] > 0).sum() > 500 and (want[1] == 0).sum() >= 20
    assert_same_bits(gpu.normals_of(*mesh), want)
    grad = noise(want[0])
    got = gpu.normals_backward(*mesh, *want, grad)
    assert_same_bits([got], [normals.normals_backward(*mesh, *want, grad)])
    assert got.any() and shim.take_streams() == {STREAM}


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["vertex_normals", "vertex_normals_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
