"""The kernels of label_loss against the CPU path: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch

from headfit.raster import labels
from headfit.raster.backend import DEVICES
from tests.support.kernel_scenes import F32, F64, STREAM, assert_close, assert_same_bits, label_inputs, noise

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("scene", ["medium", "crossing sheets", "pixel-sized"])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_on_the_cpu(gpu: Any, shim: ModuleType, scene: str, dtype: torch.dtype, merged: bool) -> None:
    shim.take_streams()
    arguments = label_inputs(scene, dtype, merged)
    want = labels.label_loss_of(*arguments)
    assert want.std() > 0
    assert_same_bits([gpu.label_loss_of(*arguments)], [want])
    grad = noise(want).abs()
    of_cpu = labels.label_loss_backward(grad, *arguments)
    assert float(of_cpu.norm()) > 0
    assert_close(gpu.label_loss_backward(grad, *arguments), of_cpu, of_float=3e-7)
    assert shim.take_streams() == {STREAM}


@pytest.mark.parametrize("views", [0, 2])
def test_no_classes_and_no_views(gpu: Any, views: int) -> None:
    shares, weight, class_of_face, _, v, faces, adjacency, index_img = label_inputs("medium", F32)
    of_views = v[:views], faces, adjacency, index_img[:views]
    for kept in (0, 5):
        arguments = shares[:views, ..., :kept], weight[:kept], class_of_face, None, *of_views
        want = labels.label_loss_of(*arguments)
        assert_same_bits([gpu.label_loss_of(*arguments)], [want])
        grad_v = gpu.label_loss_backward(torch.ones_like(want), *arguments)
        assert grad_v.shape == v[:views].shape and (kept > 0 and views > 0) == grad_v.any()


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["label_loss", "label_loss_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
