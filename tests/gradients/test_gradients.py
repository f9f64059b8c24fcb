"""A fast part of the gradient table with its bounds (`make bench-gradients` runs all of it), and the harness itself."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from headfit.raster import pixel_loss
from headfit.raster.api import PixelLossKind
from tests.gradients.harness import Samples, errors, render, sampled_pictures
from tests.gradients.scenes import SCENES, occlusion
from tests.gradients.table import bound

pytestmark = pytest.mark.slow

QUICK = ("a2", "b5", "c1 intersection at 80", "c4", "c5 the same", "d1", "e1", "e2", "g1", "g2", "h1", "h2")
HEADS = ("d3 labels",)
KINDS = ("squared", "squared, pixel_loss", "charbonnier", "huber", "l1")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Single-threaded: tensors are so small that threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", [name for name in SCENES if name.startswith(QUICK + HEADS)])
def test_matches_finite_differences(name: str) -> None:
    config = SCENES[name]
    error = errors(config.make(), KINDS, samples=4 if name.startswith(HEADS) else 12, phases=4, per_pixel=4)
    # The coarse reference itself is off by 1 to 2 %.
    assert {kind: e for kind, e in error.items() if e > bound(config, kind) + 0.015} == {}


@pytest.mark.parametrize("name", ["a2", "c4", "d1 cube, a", "g2", "h1", "h2"])
def test_the_harness_and_the_rasterizer_see_the_same(name: str) -> None:
    """Two renderers that share no formula give the same colours at the pixel centres."""
    scene = next(config.make() for n, config in SCENES.items() if n.startswith(name))
    where = Samples(*scene.size, 1)
    where.y, where.x = np.mgrid[: scene.size[0], : scene.size[1]] + 0.5
    (theirs,) = sampled_pictures(scene, scene.vertices, where)
    ours, _ = render(scene, scene.vertices[None].float(), scene.size)
    torch.testing.assert_close(ours[0].double(), theirs[:, :, 0], atol=2e-5, rtol=0)


def test_a_wrong_gradient_is_noticed() -> None:
    """The bounds can fail: a robust loss known only by its gradient exceeds them by far."""
    scene = occlusion(4)
    error = errors(scene, ("l1", "l1, edge_grad"), samples=8, phases=4)
    assert error["l1"] < 0.03 and error["l1, edge_grad"] > 0.15


@pytest.mark.parametrize("kind", ["squared", "charbonnier", "huber", "l1", "cross_entropy"])
def test_what_is_hidden_gets_exactly_nothing(kind: PixelLossKind) -> None:
    """From the edges alone: the inner vertices of a sheet that is partly behind another."""
    scene = occlusion(2)
    v_pix = scene.vertices[None].float().requires_grad_()
    image, mesh = render(scene, v_pix, scene.size)
    target = scene.target.float().expand_as(image)
    loss = pixel_loss(image.detach(), target, **mesh, kind=kind, scale=0.1).sum()
    grad = torch.autograd.grad(loss, v_pix)[0][0]
    behind = scene.vertices[:, 2] == 2
    inside = behind & ((scene.vertices[:, :2] - 20).abs() < 18).all(-1)
    assert int(inside.sum()) > 100 and (grad[inside] == 0).all()
    assert grad[~behind].abs().max() > 0.1
