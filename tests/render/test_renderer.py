"""HeadRenderer on the default head: layers are consistent, and each loss moves the right parameters."""

import dataclasses

import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.head import load
from headfit.render import Appearance, CameraBatch, HeadRenderer


@pytest.fixture(scope="module")
def scene():
    """The mean head, half a metre in front of a camera that looks along -z at its face."""
    head = load("default")
    with torch.no_grad():
        nobody = torch.zeros(len(head.identity_basis)), torch.zeros(1, len(head.expression_names))
        v = head(*nobody, torch.zeros(1, len(head.joint_names), 6))
    K = np.array([[150.0, 0, 32], [0, 150.0, 40], [0, 0, 1]])
    camera = Camera("front", 64, 80, K, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.6]))
    return head, HeadRenderer(head), v, CameraBatch.of([camera])


def test_layers_agree_with_each_other(scene):
    head, renderer, v, cameras = scene
    appearance = Appearance(64, torch.zeros(1, 3))
    appearance.background.fill_(0.25)
    layers = renderer.layers(renderer.rasterize(v, cameras), appearance, torch.tensor([0]))
    on_head = layers["alpha"] > 0
    assert 0.2 < on_head.float().mean() < 0.8
    assert torch.equal(on_head, layers["label"] >= 0) and torch.equal(on_head, layers["depth"] > 0)
    torch.testing.assert_close(layers["normal"].norm(dim=-1), on_head.float(), atol=1e-5, rtol=0)
    assert (layers["normal"][..., 2][on_head] > -0.3).all(), "what a camera in front sees faces the front"
    assert layers["below_neck"].any() and (layers["rgb"][~on_head] == 0.25).all()
    seen = {head.label_names[i] for i in layers["label"][on_head].unique()}
    assert {"skin", "upper_lip", "lower_lip", "left_eye", "right_eye"} <= seen
    column = {name: (layers["label"] == head.label_names.index(name)).nonzero()[:, 2].float().mean() for name in seen}
    assert column["left_eye"] > column["right_eye"], "the subject's left is on the right of the picture"


def moved_share(scene, image_of):
    """Gradient of <image, picture moved by one pixel to the right> with respect to a shift of the head along x."""
    _, renderer, v, cameras = scene
    shift = torch.zeros(3, requires_grad=True)
    seen = renderer.rasterize(v + shift, cameras)
    image = image_of(renderer, seen)
    target = torch.roll(image.detach(), 1, dims=2)
    (image - target).square().sum().backward()
    return shift.grad


def test_label_borders_pull_the_head_to_a_moved_mask(scene):
    head = scene[0]
    class_of_label = torch.arange(len(head.label_names)) + 1
    grad = moved_share(scene, lambda r, seen: r.label_probabilities(seen, class_of_label, len(class_of_label) + 1))
    assert grad[0] < 0 and abs(grad[0]) > 5 * abs(grad[1])


def test_label_loss_is_the_weighted_square_of_the_one_hot_classes(scene):
    head, renderer, v, cameras = scene
    class_of_label = torch.arange(len(head.label_names)) + 1
    class_weight = torch.linspace(0.5, 4, len(class_of_label) + 1)
    v = v.clone().requires_grad_()
    results = []
    for direct in (False, True):
        seen = renderer.rasterize(v, cameras)
        image = renderer.label_probabilities(seen, class_of_label, len(class_weight))
        target = image.detach().roll(1, dims=2)
        each = (image - target).square() @ class_weight
        if direct:
            each = renderer.label_loss(seen, class_of_label, class_weight, (255 * target).to(torch.uint8))
        results.append((each, torch.autograd.grad(each.sum(), v)[0]))
    torch.testing.assert_close(results[1][0], results[0][0])
    # Their taps differ where a second jump is near, so single vertices may; the motions of the whole head do not.
    motions = [torch.stack([g.sum((0, 1)), torch.linalg.cross(v.detach(), g, dim=-1).sum((0, 1))]) for _, g in results]
    torch.testing.assert_close(motions[1], motions[0], rtol=0, atol=0.1 * motions[0].abs().max().item())


def test_one_hot_classes_and_no_class_below_the_neck(scene):
    head, renderer, v, cameras = scene
    seen = renderer.rasterize(v, cameras)
    class_of_label = torch.ones(len(head.label_names), dtype=torch.int64)
    image = renderer.label_probabilities(seen, class_of_label, 2)
    assert torch.equal(image.sum(-1), (~seen.below_neck).float())
    assert torch.equal(image[..., 1] > 0, seen.head)


@pytest.mark.slow
def test_colours_pull_the_texture_the_light_and_the_smooth_surface(scene):
    _, renderer, v, cameras = scene
    appearance = Appearance(64, torch.zeros(1, 3))
    with torch.no_grad():
        appearance.light[1:4] = 0.2
    v = v.clone().requires_grad_()
    seen = renderer.rasterize(v, cameras)
    half = (torch.arange(seen.head.shape[2]) % 2 == 0).expand_as(seen.head)

    def gradient(still):
        colours = renderer.shade(seen, renderer.normals(v), appearance, torch.tensor([0]), seen.head_index, still)
        return torch.autograd.grad(
            colours.square().sum(), [v, appearance.light, appearance.levels[0]], retain_graph=True
        )

    free, mixed, still = (gradient(s) for s in (None, half, torch.ones_like(half)))
    assert free[0].norm() > 0 and 0 < mixed[0].norm() < free[0].norm() and still[0].norm() == 0
    for one, other in zip(free[1:], still[1:], strict=True):
        assert one.norm() > 0
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_skin_and_eyes_mirror_what_lies_in_the_mirrored_direction(scene, axis):
    """A world that is bright along one axis, seen by a camera in front, on a black head."""
    head, renderer, v, cameras = scene
    appearance = Appearance(64, torch.zeros(1, 3))
    with torch.no_grad():
        appearance.set_albedo(torch.zeros(1, 3, 64, 64))
        appearance.gloss[0, 0, 1 + axis] = 1.0
        appearance.gloss[1, 0, 1 + axis] = -1.0
    seen = renderer.rasterize(v, cameras)
    colours = renderer.shade(seen, renderer.normals(v), appearance, torch.tensor([0]), seen.head_index)[seen.head]

    layers = renderer.layers(renderer.rasterize(v, cameras), appearance, torch.tensor([0]))
    pixels = seen.head.flatten().nonzero()[:, 0]
    normal = layers["normal"].flatten(0, 2)[pixels]
    row, column = pixels // 64, pixels % 64
    ray = torch.stack([(column + 0.5 - 32) / 150, -(row + 0.5 - 40) / 150, -torch.ones(len(pixels))], dim=1)
    to_camera = -torch.nn.functional.normalize(ray, dim=1)
    mirrored = (2 * (normal * to_camera).sum(1, keepdim=True) * normal - to_camera)[:, axis]
    label = [head.label_names[i] for i in layers["label"].flatten()[pixels]]
    for names, sign in ((("skin", "nose", "upper_lip"), 1.0), (("left_eye", "right_eye"), -1.0)):
        chosen = torch.tensor([name in names for name in label])
        assert chosen.sum() > 10
        error = (colours[chosen, 0].detach() - sign * mirrored[chosen]).abs()
        assert error.median() < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("moved", ["normals", "v_world", "centres"])
def test_gradient_of_the_mirrored_light_agrees_with_finite_differences(scene, moved, axis):
    """Normals, vertices and camera each turn the mirrored direction; which pixels see what is held."""
    _, renderer, v, cameras = scene
    torch.manual_seed(axis)
    appearance = Appearance(64, torch.zeros(1, 3))
    with torch.no_grad():
        appearance.gloss.normal_()
    seen = renderer.rasterize(v, cameras)
    weight = torch.rand(*seen.head.shape, 3)
    start = {"normals": renderer.normals(v), "v_world": seen.v_world, "centres": seen.centres}
    towards = torch.zeros(3)
    towards[axis] = 1.0

    def total(step):
        at = {**start, moved: start[moved] + step * towards}
        held = dataclasses.replace(seen, v_world=at["v_world"], centres=at["centres"])
        colours = renderer.shade(held, at["normals"], appearance, torch.tensor([0]), seen.head_index)
        return (colours * weight).sum()

    step = torch.zeros((), requires_grad=True)
    gradient = torch.autograd.grad(total(step), step)[0].item()
    difference = (total(1e-3) - total(-1e-3)).item() / 2e-3
    assert abs(gradient) > 1
    assert gradient == pytest.approx(difference, rel=0.02)
