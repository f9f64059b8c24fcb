"""The kernels against the CPU path: identical visibility, gradients equal up to rounding, no race, no bad access."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import _C, ops
from headfit.raster.backend import DEVICES
from headfit.raster.topology import check_vertex_ids
from tests.support.kernel_scenes import (
    F32,
    F64,
    HEIGHT,
    SCENES,
    STREAM,
    WIDTH,
    assert_close,
    assert_same_bits,
    edge_inputs,
    label_inputs,
    noise,
    soup,
)

pytestmark = pytest.mark.slow

scenes = pytest.mark.parametrize("scene", SCENES)
dtypes = pytest.mark.parametrize("dtype", [F32, F64])


@scenes
@dtypes
@pytest.mark.parametrize("seed", range(2))
def test_rasterize(gpu: Any, shim: ModuleType, scene: str, dtype: torch.dtype, seed: int) -> None:
    shim.seed(seed)
    v, faces = SCENES[scene]()
    v = v.to(dtype)
    want = ops.rasterize(v, faces, HEIGHT, WIDTH)
    assert (want[0] >= 0).any()
    assert_same_bits(gpu.rasterize(v, faces, HEIGHT, WIDTH), want)


@dtypes
@pytest.mark.parametrize("items", [0, 1, 7])
def test_rasterize_with_a_full_queue(shim: ModuleType, dtype: torch.dtype, items: int) -> None:
    v, faces = soup(150.0)
    v = v.to(dtype)
    want = ops.rasterize(v, faces, HEIGHT, WIDTH)
    workspace = torch.empty(8 * (2 * HEIGHT * WIDTH + 1 + items), dtype=torch.uint8)
    got = tuple(torch.empty_like(x) for x in want)
    shim.rasterize(v, faces, *got, workspace, STREAM)
    assert_same_bits(got, want)
    with pytest.raises(ValueError, match="workspace"):
        shim.rasterize(v, faces, *got, workspace[: 8 * 2 * HEIGHT * WIDTH], STREAM)


@pytest.fixture(params=[False, True], ids=["fast", "deterministic"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("scene", ["medium", "large", "cube", "pixel-sized"])
@dtypes
def test_rasterize_backward(gpu: Any, scene: str, dtype: torch.dtype) -> None:
    v, faces = SCENES[scene]()
    v = v.to(dtype)
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    inputs = v, faces, index_img, noise(bary), noise(depth)
    assert_close(gpu.rasterize_backward(*inputs), ops.rasterize_backward(*inputs), of_float=3e-7)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("channels", [0, 1, 3, 5])
@pytest.mark.parametrize("shared", [False, True])
@dtypes
def test_interpolate(gpu: Any, channels: int, shared: bool, dtype: torch.dtype) -> None:
    v, faces = SCENES["medium"]()
    index_img, bary, _ = ops.rasterize(v.to(dtype), faces, HEIGHT, WIDTH)
    attributes = noise(bary, 1 if shared else 2, v.shape[1], channels)
    inputs = attributes, faces, index_img, bary
    image = ops.interpolate(*inputs, None)
    assert_close(gpu.interpolate(*inputs, None), image)
    assert_close(gpu.interpolate(*inputs, noise(image)), ops.interpolate(*inputs, noise(image)))
    for needs in ((True, True), (True, False), (False, True), (False, False, True)):
        got = gpu.interpolate_backward(*inputs, noise(image), *needs)
        for a, b in zip(got, ops.interpolate_backward(*inputs, noise(image), *needs), strict=True):
            assert_close(a, b)


EDGE_SCENES = pytest.mark.parametrize(
    "scene", ["medium", "large", "cube", "crossing sheets", "pixel-sized", "collapsed faces"]
)


@pytest.mark.usefixtures("way")
@EDGE_SCENES
@dtypes
def test_edge_grad(gpu: Any, scene: str, dtype: torch.dtype) -> None:
    image, *mesh = edge_inputs(scene, dtype)
    inputs = noise(image), image, None, *mesh
    want = ops.edge_grad_backward(*inputs)
    assert float(want.norm()) > 0
    assert_close(gpu.edge_grad_backward(*inputs), want, of_float=3e-7)


@pytest.mark.parametrize("penalty", _C.PENALTIES)
@dtypes
def test_pixel_loss(gpu: Any, penalty: str, dtype: torch.dtype) -> None:
    image, *rest = edge_inputs("crossing sheets", dtype)
    target = noise(image).softmax(-1)
    weight = noise(image[..., 0]).abs()
    want = ops.edge_grad_backward(weight, image, target, *rest, penalty, 0.2)
    assert float(want.norm()) > 0
    assert_close(gpu.edge_grad_backward(weight, image, target, *rest, penalty, 0.2), want, of_float=3e-7)


def all_gradients(gpu: Any) -> list[Tensor]:
    image, v, faces, *rest = edge_inputs("crossing sheets", F32)
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    attributes = noise(v, 1, v.shape[1], 3)
    return [
        gpu.rasterize_backward(v, faces, index_img, noise(bary), noise(depth)),
        gpu.interpolate_backward(attributes, faces, index_img, bary, noise(image), True, True)[0],
        gpu.edge_grad_backward(noise(image), image, None, v, faces, *rest),
        gpu.edge_grad_backward(noise(depth).abs(), image, noise(image), v, faces, *rest, "charbonnier", 0.2),
        gpu.label_loss_backward(noise(depth).abs(), *label_inputs("crossing sheets", F32)),
    ]


def test_deterministic(gpu: Any, shim: ModuleType) -> None:
    """Deterministic gradients are bit-identical in any order of threads; fast ones are not, so the orders do differ."""
    for deterministic in (True, False):
        torch.use_deterministic_algorithms(deterministic)
        runs = []
        for seed in range(4):
            shim.seed(seed)
            runs.append(all_gradients(gpu))
        torch.use_deterministic_algorithms(False)
        same = [all(torch.equal(first, again) for again in others) for first, *others in zip(*runs, strict=True)]
        assert all(same) if deterministic else not any(same)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_deterministic_sums_have_any_scale(gpu: Any, scale: float) -> None:
    """The unit of the fixed-point sums is chosen from the data."""
    v, faces = SCENES["medium"]()
    v = v.double()
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    inputs = v, faces, index_img, scale * noise(bary), scale * noise(depth)
    torch.use_deterministic_algorithms(True)
    got = gpu.rasterize_backward(*inputs)
    torch.use_deterministic_algorithms(False)
    # 3 * 2^13 pixels leave 2^-43 of the largest contribution.
    want = ops.rasterize_backward(*inputs)
    assert float((got - want).norm()) < 1e-10 * float(want.norm())


def test_deterministic_sums_do_not_hide_infinity(gpu: Any) -> None:
    v, faces = SCENES["cube"]()
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    grad = torch.zeros_like(depth)
    grad[index_img >= 0] = float("inf")
    torch.use_deterministic_algorithms(True)
    got = gpu.rasterize_backward(v, faces, index_img, torch.zeros_like(bary), grad)
    torch.use_deterministic_algorithms(False)
    assert got.isnan().all()


def test_faces_that_do_not_exist_are_background(gpu: Any) -> None:
    """An index out of range counts as background: checking it would mean to wait for the GPU."""
    image, v, faces, adjacency, group, index_img = edge_inputs("crossing sheets", F32)
    _, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    bad, background = index_img.clone(), index_img.clone()
    bad[0, 10:20, 10:40], background[0, 10:20, 10:40] = len(faces), -1
    attributes, behind = noise(v, 1, v.shape[1], 3), noise(bary)
    rest = v, faces, adjacency, group
    *labels, _ = label_inputs("crossing sheets", F32)

    def results(index: Tensor) -> list[Tensor]:
        return [
            gpu.interpolate(attributes, faces, index, bary, behind),
            *gpu.interpolate_backward(attributes, faces, index, bary, image, True, True, True),
            gpu.rasterize_backward(v, faces, index, bary, depth),
            gpu.edge_grad_backward(image, image, None, *rest, index),
            gpu.label_loss_of(*labels, index),
            gpu.label_loss_backward(depth, *labels, index),
        ]

    for a, b in zip(results(bad), results(background), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("batch,vertices,faces,size", [(0, 4, 2, (4, 4)), (2, 0, 0, (4, 4)), (1, 4, 2, (0, 4))])
def test_empty_inputs(gpu: Any, batch: int, vertices: int, faces: int, size: tuple[int, int]) -> None:
    v = torch.rand(1, 4, 3)[:, :vertices].expand(batch, -1, -1).contiguous() + 1
    f = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)[:faces]
    want = ops.rasterize(v, f, *size)
    assert_same_bits(gpu.rasterize(v, f, *size), want)
    grad = gpu.rasterize_backward(v, f, want[0], want[1], want[2])
    assert grad.shape == v.shape and (grad == 0).all()


def test_one_stream(gpu: Any, shim: ModuleType) -> None:
    """All kernels and memsets go to the given stream."""
    shim.take_streams()
    v, faces = SCENES["cube"]()
    gpu.rasterize(v, faces, HEIGHT, WIDTH)
    torch.use_deterministic_algorithms(True)
    all_gradients(gpu)
    torch.use_deterministic_algorithms(False)
    assert shim.take_streams() == {STREAM}


def test_vertex_ids_are_checked_once() -> None:
    faces = torch.tensor([[0, 1, 5]], dtype=torch.int32)
    check_vertex_ids(faces, 6)
    check_vertex_ids(torch.zeros(0, 3, dtype=torch.int32), 0)
    for vertices in (5, 0):
        with pytest.raises(ValueError, match="vertices 0 to 5"):
            check_vertex_ids(faces, vertices)
    faces[0, 0] = -1  # an in-place change makes the tensor a new one
    with pytest.raises(ValueError, match="vertices -1 to 5"):
        check_vertex_ids(faces, 6)


@pytest.mark.skipif("cuda" not in DEVICES, reason="built without CUDA")
def test_operators_know_the_kernels() -> None:
    names = ["rasterize", "interpolate", "edge_grad_backward", "rasterize_backward", "interpolate_backward"]
    for name in names:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"headfit::{name}", "CUDA")
