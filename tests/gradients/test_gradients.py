"""A quick part of the gradient table (`make bench-gradients` has all of it), with its bounds; and the harness itself."""

import pytest
import torch
from harness import ESTIMATES, Samples, errors, gradient, render, sampled_pictures, slopes
from scenes import SCENES, occlusion
from table import bound

QUICK = [name for name in SCENES if not name.startswith(("d2", "d4", "d5", "f1"))]


@pytest.mark.parametrize("name", QUICK)
def test_matches_finite_differences(name: str) -> None:
    config = SCENES[name]
    kinds = ("squared", "squared, pixel_loss", "charbonnier", "huber", "l1")
    error = errors(config.make(), kinds, samples=config.quick_samples, phases=4, supersampled=True)
    # A coarse reference is off by 1 % or so.
    assert {kind: e for kind, e in error.items() if e > bound(config, kind) + 0.01} == {}


@pytest.mark.parametrize("name", ["a2", "c4", "d1 cube, a", "g2", "h1", "h2"])
def test_the_harness_and_the_rasterizer_see_the_same(name: str) -> None:
    """At the same points, colours that two renderers without a common formula give."""
    scene = next(config.make() for n, config in SCENES.items() if n.startswith(name))
    where = Samples(*scene.size, 1)
    where.x, where.y = where.x * 0 + torch.arange(scene.size[1]).numpy() + 0.5, where.y * 0 + 0.5
    where.y = where.y + torch.arange(scene.size[0]).numpy()[:, None]
    (theirs,) = sampled_pictures(scene, scene.vertices, where)
    ours, _ = render(scene, scene.vertices[None].float(), scene.size)
    torch.testing.assert_close(ours[0].double(), theirs[:, :, 0], atol=2e-5, rtol=0)


def test_a_wrong_gradient_is_noticed() -> None:
    """Without what moves edges, with each half of it, or with the loss' gradient for a robust loss, the error is large."""
    scene = occlusion(4)
    right = slopes(scene, gradient(scene, "l1", phases=4))
    scene.topology.adjacency[:] = -1  # as if no two faces hung together
    wrong = slopes(scene, gradient(scene, "l1", phases=4))
    assert float((wrong - right).norm()) > 0.2 * float(right.norm())
    assert errors(occlusion(4), ("l1, edge_grad",), samples=8, phases=4)["l1, edge_grad"] > 0.15


def test_what_is_hidden_gets_exactly_nothing() -> None:
    scene = occlusion(2)
    hidden = scene.vertices[:, 2] == 2  # the sheet at the back; all jumps are its outline's and the front one's
    inside = hidden & ((scene.vertices[:, :2] - 20).abs() < 18).all(-1)
    assert int(inside.sum()) > 100
    scene.colours = torch.where(hidden[:, None], 0.25, scene.colours)  # so that the interior has no gradient either
    for kind in ESTIMATES:
        grad = gradient(scene, kind, phases=2)
        assert (grad[inside] == 0).all() and grad[~hidden].abs().max() > 0.1
