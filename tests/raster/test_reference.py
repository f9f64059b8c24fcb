"""Values and gradients of the compiled operators against the plain-torch reference."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from headfit import raster
from headfit.raster import _C, reference, reference_edges
from headfit.raster.api import PixelLossKind, loss_of_pixels

SIZE = (20, 24)
Scene = tuple[Tensor, Tensor]  # v_pix `[2,V,3]` float64, faces


def soup(faces: int, vertices: int, seed: int, behind: float = 0.0) -> Scene:
    """Random triangles at random depths, most of which intersect; with few vertices, they share some."""
    g = torch.Generator().manual_seed(seed)
    v = torch.rand(2, vertices, 3, generator=g, dtype=torch.float64)
    v = torch.cat([(1.2 * v[..., :2] - 0.1) * 24, 0.5 + 2 * v[..., 2:] - behind], -1)
    # Sorted and unique: of two faces with the same vertices, rounding would decide which is nearer.
    chosen = torch.stack([torch.randperm(vertices, generator=g)[:3] for _ in range(faces)])
    return v, chosen.sort(1).values.unique(dim=0).int()


def crumpled(cells: int, noise: float, seed: int) -> Scene:
    """A sheet whose vertices are displaced by up to `noise` cells, and in depth, so that it folds."""
    g = torch.Generator().manual_seed(seed)
    u = torch.linspace(2, 22, cells + 1, dtype=torch.float64)
    y, x = torch.meshgrid(u, u, indexing="ij")
    v = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3).repeat(2, 1, 1)
    v += torch.rand(v.shape, generator=g, dtype=v.dtype) * torch.tensor([noise * 20 / cells] * 2 + [0.3])
    n = torch.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    p, q, r, t = n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]
    faces = torch.cat([torch.stack([p, q, r], -1).reshape(-1, 3), torch.stack([p, r, t], -1).reshape(-1, 3)])
    return v, faces.int()


SCENES = {
    "triangles": soup(6, 18, seed=0),
    "intersecting triangles": soup(30, 60, seed=1),
    "non-manifold triangles": soup(40, 20, seed=2),
    "behind the camera": soup(20, 40, seed=3, behind=1.0),
    "sheet": crumpled(5, 0.8, seed=4),
    "folded sheet": crumpled(6, 3.0, seed=5),
    "sheet of pixel size": crumpled(20, 2.0, seed=6),
}


def random(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)


LARGE = "sheet of pixel size"


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name == LARGE)) for name in SCENES])
def scene(request: pytest.FixtureRequest) -> Scene:
    return SCENES[request.param]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rasterize(scene: Scene, dtype: torch.dtype) -> None:
    v, faces = scene[0].to(dtype).requires_grad_(), scene[1]
    index_img, bary, depth = raster.rasterize(v, faces, SIZE)
    index_ref, bary_ref, depth_ref = reference.rasterize(v, faces, SIZE)
    assert torch.equal(index_img, index_ref)
    assert (index_img >= 0).any() and (index_img < 0).any()
    loose = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(bary, bary_ref, **loose)
    torch.testing.assert_close(depth, depth_ref, **loose)

    grads = [random(bary.shape, dtype), random(depth.shape, dtype)]
    (got,) = torch.autograd.grad([bary, depth], v, grads)
    (want,) = torch.autograd.grad([bary_ref, depth_ref], v, grads)
    assert float((got - want).norm()) <= (1e-5 if dtype == torch.float32 else 1e-12) * float(want.norm())


@pytest.mark.parametrize("channels,shared,behind", [(5, False, False), (5, True, True), (3, False, True)])
def test_interpolate(scene: Scene, channels: int, shared: bool, behind: bool) -> None:
    v, faces = scene
    index_img, bary, _ = raster.rasterize(v, faces, SIZE)
    attributes = random((v.shape[1], channels) if shared else (2, v.shape[1], channels), v.dtype)
    leaves = [attributes.requires_grad_(), bary.requires_grad_()]
    if behind:
        leaves.append(random((*index_img.shape, channels), v.dtype).requires_grad_())
    got = raster.interpolate(attributes, faces, index_img, *leaves[1:])
    want = reference.interpolate(attributes, faces, index_img, *leaves[1:])
    torch.testing.assert_close(got, want)
    grad = random(want.shape, v.dtype)
    torch.testing.assert_close(torch.autograd.grad(got, leaves, grad), torch.autograd.grad(want, leaves, grad))


@pytest.mark.parametrize("channels", [1, 3])
def test_interpolate_against_finite_differences(channels: int) -> None:
    v, faces = SCENES["folded sheet"]
    index_img, bary, _ = raster.rasterize(v, faces, (5, 6))
    index_img[:, 2, 1:4] = -1
    leaves = [random((*shape, channels), v.dtype) for shape in ((v.shape[1],), index_img.shape)]
    assert torch.autograd.gradcheck(
        lambda attributes, bary, behind: raster.interpolate(attributes, faces, index_img, bary, behind),
        [x.requires_grad_() for x in (leaves[0], bary, leaves[1])],
    )


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_edge_grad(scene: Scene, groups: int, dtype: torch.dtype) -> None:
    v, faces = scene[0].to(dtype).requires_grad_(), scene[1]
    group = torch.arange(len(faces)) % groups
    index_img, bary, _ = raster.rasterize(v.detach(), faces, SIZE)
    image = raster.interpolate(random((v.shape[1], 4), dtype), faces, index_img, bary)
    grad = random(image.shape, dtype)
    out = raster.edge_grad(image, v, faces, index_img, group=group)
    (got,) = torch.autograd.grad(out, v, grad)
    want = reference_edges.edge_grad_backward(grad, image, v.detach(), faces, index_img, group=group)
    assert float(want.norm()) > 0
    assert float((got - want).norm()) <= (1e-5 if dtype == torch.float32 else 1e-12) * float(want.norm())


def test_penalties_have_the_same_names_in_python_and_cpp() -> None:
    assert get_args(PixelLossKind) == _C.PENALTIES


@pytest.mark.parametrize("kind", get_args(PixelLossKind))
def test_pixel_loss(scene: Scene, kind: PixelLossKind) -> None:
    v, faces = scene[0].clone().requires_grad_(), scene[1]
    group = torch.arange(len(faces)) % 3
    index_img, bary, _ = raster.rasterize(v.detach(), faces, SIZE)
    image = raster.interpolate(random((v.shape[1], 4), v.dtype), faces, index_img, bary).requires_grad_()
    target = random(image.shape, v.dtype).softmax(-1)
    weight = random(index_img.shape, v.dtype).clamp(min=0)  # some pixels have weight 0
    loss = raster.pixel_loss(image, target, v, faces, index_img, kind=kind, scale=0.3, group=group)
    plain = loss_of_pixels(image, target, kind, 0.3)
    assert torch.equal(loss, plain)
    got, got_image = torch.autograd.grad(loss, [v, image], weight)
    torch.testing.assert_close(got_image, torch.autograd.grad(plain, image, weight)[0])
    want = reference_edges.pixel_loss_backward(
        weight, image.detach(), target, v.detach(), faces, index_img, kind=kind, scale=0.3, group=group
    )
    assert float(want.norm()) > 0
    assert float((got - want).norm()) <= 1e-12 * float(want.norm())


def test_edges_of_a_loss_are_those_of_another_image(scene: Scene) -> None:
    """The loss keeps its own value and gradient, and only the other image's jumps move vertices."""
    v, faces = scene[0].clone().requires_grad_(), scene[1]
    index_img, bary, _ = raster.rasterize(v.detach(), faces, SIZE)
    image = raster.interpolate(random((v.shape[1], 4), v.dtype), faces, index_img, bary)
    target, loss = random(image.shape, v.dtype), random(index_img.shape, v.dtype).requires_grad_()
    weight = random(index_img.shape, v.dtype).clamp(min=0)
    arguments = (target, v, faces, index_img)
    moving = raster.edges_of_loss(loss, image.requires_grad_(), *arguments, kind="charbonnier", scale=0.3)
    assert torch.equal(moving, loss)
    own, of_image, got = torch.autograd.grad(moving, [loss, image, v], weight, allow_unused=True)
    assert torch.equal(own, weight) and of_image is None
    whole = raster.pixel_loss(image, *arguments, kind="charbonnier", scale=0.3)
    assert torch.equal(got, torch.autograd.grad(whole, v, weight)[0]) and got.any()
