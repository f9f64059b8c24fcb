"""The hair layer: where it may grow, what moves it, and that it never moves the head."""

import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.fitting.hair_layer import BORDER_HEIGHT, HIGHEST, LOWEST, HairLayer
from headfit.head import load
from headfit.render import CameraBatch, HairRenderer, HeadRenderer

HEAD = load("default")


@pytest.fixture(scope="module")
def parts():
    """Layer, its renderer, the mean head and its normals, and a camera half a metre in front of the face."""
    layer, renderer = HairLayer(HEAD), HeadRenderer(HEAD)
    v = HEAD.rest()[None]
    K = np.array([[220.0, 0, 48], [0, 220.0, 60], [0, 0, 1]])
    camera = CameraBatch.of([Camera("front", 96, 120, K, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.6]))])
    return layer, HairRenderer(renderer, layer.faces, layer.source_faces), v, renderer.normals(v), camera


def test_it_covers_scalp_and_forehead_and_no_face(parts):
    layer = parts[0]
    covered = torch.zeros(HEAD.vertex_count, dtype=torch.bool)
    covered[layer.vertices] = True
    scalp = HEAD.faces[HEAD.faces_of("hair")].long()
    assert covered[scalp].float().mean() > 0.99
    for name in ("left_eye", "upper_lip", "nose", "tongue", "ears"):
        inner = HEAD.faces[HEAD.faces_of(name)].long()
        assert covered[inner].all(1).float().mean() < 0.02, name
    assert torch.equal(HEAD.faces[layer.source_faces].long(), layer.vertices[layer.faces.long()])


def test_heights_stay_in_their_range_and_end_below_the_skin(parts):
    layer = HairLayer(HEAD)
    layer.field.data = torch.linspace(-10, 10, len(layer.field))
    heights = layer.heights()
    assert heights.min() >= LOWEST and heights.max() <= HIGHEST
    assert (heights[~layer.inside] == BORDER_HEIGHT).all() and (~layer.inside).any()


def test_derivative_of_the_heights(parts):
    layer = HairLayer(HEAD).double()
    weight = torch.linspace(-1, 1, len(layer.field), dtype=torch.float64)
    (layer.heights() * weight).sum().backward()
    for vertex in (10, 900, 2000):
        ends = []
        for step in (1e-5, -1e-5):
            layer.field.data[vertex] += step
            ends.append((layer.heights() * weight).sum().item())
            layer.field.data[vertex] -= step
        assert layer.field.grad[vertex].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-7)


def loss_at(parts, lift: float, target: torch.Tensor) -> torch.Tensor:
    """Label loss of the layer raised by `lift` metres from its start."""
    layer, renderer, v, normals, camera = parts
    raised = v[:, layer.vertices] + (layer.heights() + lift)[:, None] * normals[:, layer.vertices]
    return renderer.label_loss(renderer.rasterize(v, raised, camera), target).sum()


def labels_at(parts, lift: float) -> torch.Tensor:
    layer, renderer, v, normals, camera = parts
    raised = v[:, layer.vertices] + (layer.heights() + lift)[:, None] * normals[:, layer.vertices]
    seen = renderer.rasterize(v, raised.detach(), camera)
    return 255 * torch.stack([seen.index_img < 0, seen.head, seen.hair], dim=-1).byte()


def test_a_layer_below_the_skin_is_invisible(parts):
    assert (labels_at(parts, 0.0)[..., 2] > 0).sum() > 50
    assert labels_at(parts, -0.008)[..., 2].sum() == 0


@pytest.mark.parametrize("lift", [0.004, -0.002])
def test_the_gradient_points_to_the_masks_height(parts, lift):
    """Outline and hairline (an intersection of two surfaces) of taller or thinner hair pull the heights there."""
    target = labels_at(parts, lift)
    shift = torch.zeros((), requires_grad=True)
    loss_at(parts, shift, target).backward()
    assert shift.grad * lift < 0


def test_the_gradient_is_that_of_finite_differences_on_average(parts):
    """The loss of point samples is a step function, so both sides are averaged over many heights."""
    target = labels_at(parts, 0.003)
    analytic, heights = [], np.linspace(-0.001, 0.001, 41)
    for lift in heights:
        shift = torch.tensor(lift, dtype=torch.float32, requires_grad=True)
        loss_at(parts, shift, target).backward()
        analytic.append(shift.grad.item())
    with torch.no_grad():
        ends = [loss_at(parts, torch.tensor(h, dtype=torch.float32), target).item() for h in (heights[0], heights[-1])]
    slope = (ends[1] - ends[0]) / (heights[-1] - heights[0])
    assert np.mean(analytic) == pytest.approx(slope, rel=0.3)


def test_hair_never_moves_the_head(parts):
    layer, _, v, normals, _ = parts
    head = v.clone().requires_grad_()
    surface = layer.surface(head, normals)
    assert surface.requires_grad
    (gradient,) = torch.autograd.grad(surface.sum(), head, allow_unused=True)
    assert gradient is None
