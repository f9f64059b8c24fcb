"""Values and gradients of the compiled operators against the plain-torch reference."""

from typing import get_args

import pytest
import torch

from headfit import raster
from headfit.raster import _C, reference, reference_edges
from headfit.raster.api import PixelLossKind, loss_of_pixels
from tests.support.raster_scenes import SCENES, SIZE, Scene, random

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
