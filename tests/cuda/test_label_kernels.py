"""The kernels of label_loss against the CPU path: see test_kernels.py."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import labels
from headfit.raster.backend import DEVICES
from tests.support.kernel_scenes import F32, F64, STREAM, assert_close, assert_same_bits, edge_inputs, noise

pytestmark = pytest.mark.slow

CLASSES = 5


def inputs(scene: str, dtype: torch.dtype, merged: bool) -> list[Tensor | None]:
    """Faces of all classes and of none; in one of the views, two classes are merged."""
    _, v, faces, adjacency, _, index_img = edge_inputs(scene, dtype)
    shares = (255 * noise(v, *index_img.shape, CLASSES).softmax(-1)).to(torch.uint8)
    class_of_face = (torch.arange(len(faces)) // 3 % (CLASSES + 2) - 1).int()
    shown_as = torch.arange(CLASSES, dtype=torch.int32).repeat(len(v), 1)
    shown_as[-1, 2] = 3
    weight = torch.linspace(0.5, 4, CLASSES, dtype=dtype)
    return [shares, weight, class_of_face, shown_as if merged else None, v, faces, adjacency, index_img]


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("scene", ["medium", "crossing sheets", "pixel-sized"])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_same_as_on_the_cpu(gpu: Any, shim: ModuleType, scene: str, dtype: torch.dtype, merged: bool) -> None:
    shim.take_streams()
    arguments = inputs(scene, dtype, merged)
    want = labels.label_loss_of(*arguments)
    assert want.std() > 0
    assert_same_bits([gpu.label_loss_of(*arguments)], [want])
    grad = noise(want).abs()
    of_cpu = labels.label_loss_backward(grad, *arguments)
    assert float(of_cpu.norm()) > 0
    assert_close(gpu.label_loss_backward(grad, *arguments), of_cpu, of_float=3e-7)
    assert shim.take_streams() == {STREAM}


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
@pytest.mark.parametrize("name", ["label_loss", "label_loss_backward"])
def test_operators_know_the_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
