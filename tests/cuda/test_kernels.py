"""The kernels against the CPU path: visibility bit for bit, gradients to rounding, no race, no stray access."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from headfit.raster import _C, Topology, ops
from headfit.raster.backend import DEVICES
from headfit.raster.topology import check_vertex_ids
from tests.support.shapes import Mesh, cube, flat, sheet, tilted

pytestmark = pytest.mark.slow

F32, F64 = torch.float32, torch.float64
HEIGHT, WIDTH = 45, 70  # neither a multiple of a block, a tile, or a run
STREAM = 4321  # of conftest.py


def soup(spread: float, seed: int = 0, count: int = 60) -> tuple[Tensor, Tensor]:
    """Two images of random triangles about `spread` pixels large."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.rand(2, count, 1, 2, generator=g) * torch.tensor([WIDTH, HEIGHT])
    xy = centres + (torch.rand(2, count, 3, 2, generator=g) - 0.5) * spread
    z = torch.rand(2, count, 3, 1, generator=g) + 0.5
    return torch.cat([xy, z], -1).reshape(2, -1, 3), torch.arange(3 * count, dtype=torch.int32).reshape(-1, 3)


def lattice() -> tuple[Tensor, Tensor]:
    """Vertices on pixel centres and corners, few depths, each face twice: ties everywhere."""
    g = torch.Generator().manual_seed(1)
    xy = torch.randint(0, 2 * HEIGHT, (1, 90, 2), generator=g) / 2
    z = torch.randint(1, 3, (1, 90, 1), generator=g)
    faces = torch.randint(0, 90, (60, 3), generator=g, dtype=torch.int32)
    return torch.cat([xy, z], -1), torch.cat([faces, faces.flip(0)])


def near_plane() -> tuple[Tensor, Tensor]:
    v, faces = soup(40.0, count=30)
    g = torch.Generator().manual_seed(2)
    sign = torch.randint(0, 2, v.shape[:2], generator=g) * 2 - 1
    v[..., 2] = sign * 10 ** (-5 * torch.rand(v.shape[:2], generator=g))
    return v, faces


def not_finite() -> tuple[Tensor, Tensor]:
    v, faces = soup(30.0)
    bad = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0])
    for i in range(24):
        v[0, 7 * i, i % 3] = bad[i % 4]
    return v, faces


def of(mesh: Mesh) -> tuple[Tensor, Tensor]:
    return mesh.vertices[None], mesh.faces


def crossing() -> Mesh:
    """Two sheets that intersect, in front of a third."""
    front = sheet((20, 20), (14, 14), 6, tilted(0.6, 0.01, 0.003), 0.2)
    other = sheet((22, 19), (12, 13), 5, tilted(0.6, -0.01, 0.002), 0.5, 1.0)
    return Mesh.join(front, other, sheet((20, 20), (19, 19), 9, flat(0.3), 0.1, 2.0))


SCENES = {
    "small": lambda: soup(6.0),
    "medium": lambda: soup(25.0),
    "large": lambda: soup(150.0),
    "ties": lattice,
    "near plane": near_plane,
    "not finite": not_finite,
    "cube": lambda: of(cube()),
    "crossing sheets": lambda: of(crossing()),
    "pixel-sized": lambda: of(sheet((20, 20), (17, 15), 30, tilted(0.5, 0.002, 0.001), 0.3)),
}
scenes = pytest.mark.parametrize("scene", SCENES)
dtypes = pytest.mark.parametrize("dtype", [F32, F64])


def assert_same_bits(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> None:
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


def assert_close(got: Tensor, want: Tensor) -> None:
    """Relative L2 error, for what was summed in another order and, on a GPU, not in double."""
    bound = 1e-5 if want.dtype == F32 else 1e-11
    assert got.shape == want.shape and got.dtype == want.dtype
    assert float((got.double() - want.double()).norm()) <= bound * float(want.double().norm())


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


def noise(like: Tensor, *shape: int) -> Tensor:
    g = torch.Generator().manual_seed(5)
    return torch.randn(shape or like.shape, generator=g, dtype=F64).to(like.dtype)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("scene", ["medium", "large", "cube", "pixel-sized"])
@dtypes
def test_rasterize_backward(gpu: Any, scene: str, dtype: torch.dtype) -> None:
    v, faces = SCENES[scene]()
    v = v.to(dtype)
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    inputs = v, faces, index_img, noise(bary), noise(depth)
    assert_close(gpu.rasterize_backward(*inputs), ops.rasterize_backward(*inputs))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("channels", [0, 1, 3, 5])
@pytest.mark.parametrize("shared", [False, True])
@dtypes
def test_interpolate(gpu: Any, channels: int, shared: bool, dtype: torch.dtype) -> None:
    v, faces = SCENES["medium"]()
    index_img, bary, _ = ops.rasterize(v.to(dtype), faces, HEIGHT, WIDTH)
    attributes = noise(bary, 1 if shared else 2, v.shape[1], channels)
    inputs = attributes, faces, index_img, bary
    image = ops.interpolate(*inputs)
    assert_close(gpu.interpolate(*inputs), image)
    for needs in ((True, True), (True, False), (False, True)):
        got = gpu.interpolate_backward(*inputs, noise(image), *needs)
        for a, b in zip(got, ops.interpolate_backward(*inputs, noise(image), *needs), strict=True):
            assert_close(a, b)


def edge_inputs(scene: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """image, v_pix, faces, adjacency, group, index_img; two groups in each piece."""
    v, faces = SCENES[scene]()
    v = v.to(dtype)
    index_img, bary, _ = ops.rasterize(v, faces, HEIGHT, WIDTH)
    colours = torch.sin(noise(v)) + 1
    image = ops.interpolate(colours, faces, index_img, bary)
    group = (torch.arange(len(faces)) // 11 % 2).int()
    return image, v, faces, Topology(faces).adjacency, group, index_img


EDGE_SCENES = pytest.mark.parametrize("scene", ["medium", "large", "cube", "crossing sheets", "pixel-sized"])


@pytest.mark.usefixtures("way")
@EDGE_SCENES
@dtypes
def test_edge_grad(gpu: Any, scene: str, dtype: torch.dtype) -> None:
    image, *mesh = edge_inputs(scene, dtype)
    inputs = noise(image), image, None, *mesh
    want = ops.edge_grad_backward(*inputs)
    assert float(want.norm()) > 0
    assert_close(gpu.edge_grad_backward(*inputs), want)


@pytest.mark.parametrize("penalty", _C.PENALTIES)
@dtypes
def test_pixel_loss(gpu: Any, penalty: str, dtype: torch.dtype) -> None:
    image, *rest = edge_inputs("crossing sheets", dtype)
    target = noise(image).softmax(-1)
    weight = noise(image[..., 0]).abs()
    want = ops.edge_grad_backward(weight, image, target, *rest, penalty, 0.2)
    assert float(want.norm()) > 0
    assert_close(gpu.edge_grad_backward(weight, image, target, *rest, penalty, 0.2), want)


def all_gradients(gpu: Any) -> list[Tensor]:
    image, v, faces, *rest = edge_inputs("crossing sheets", F32)
    index_img, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    attributes = noise(v, 1, v.shape[1], 3)
    return [
        gpu.rasterize_backward(v, faces, index_img, noise(bary), noise(depth)),
        gpu.interpolate_backward(attributes, faces, index_img, bary, noise(image), True, True)[0],
        gpu.edge_grad_backward(noise(image), image, None, v, faces, *rest),
        gpu.edge_grad_backward(noise(depth).abs(), image, noise(image), v, faces, *rest, "charbonnier", 0.2),
    ]


def test_deterministic(gpu: Any, shim: ModuleType) -> None:
    """Bit-identical in any order of threads; the fast way is not, so the orders do differ."""
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
    """The unit of fixed point follows the data."""
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
    """No value can be complained about without waiting for the GPU; nothing outside is read (the shim would tell)."""
    image, v, faces, adjacency, group, index_img = edge_inputs("crossing sheets", F32)
    _, bary, depth = ops.rasterize(v, faces, HEIGHT, WIDTH)
    bad, background = index_img.clone(), index_img.clone()
    bad[0, 10:20, 10:40], background[0, 10:20, 10:40] = len(faces), -1
    attributes = noise(v, 1, v.shape[1], 3)
    rest = v, faces, adjacency, group

    def results(index: Tensor) -> list[Tensor]:
        return [
            gpu.interpolate(attributes, faces, index, bary),
            *gpu.interpolate_backward(attributes, faces, index, bary, image, True, True),
            gpu.rasterize_backward(v, faces, index, bary, depth),
            gpu.edge_grad_backward(image, image, None, *rest, index),
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
    """All kernels and fills of memory go to the stream that was asked for."""
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
