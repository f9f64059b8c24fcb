"""Windows around the head: nothing relevant is cut off, and images, landmarks and cameras stay consistent."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from headfit.capture.framing import framings_at
from headfit.fitting.crop import SIZE_MULTIPLE, crop_to_head
from tests.support.true_fit import true_fit

pytestmark = pytest.mark.slow

ROUND = 48  # pixels of background added around the images


@pytest.fixture
def wide(config, args):
    """A fit, views with wide background around the head, the vertices, and the cameras."""
    module = true_fit(config, args)
    model = module.model
    batch = module.data.view_batch([(f, c) for f in range(2) for c in range(3)], framings_at(model.head_windows, 1e4))
    cameras = model.view_cameras(batch)
    ring = (ROUND,) * 4
    principal = cameras.K.clone()
    principal[:, :2, 2] += ROUND
    label_prob = F.pad(batch.label_prob, (0, 0, *ring))
    label_prob[..., 0][F.pad(torch.zeros_like(batch.label_weight), ring, value=1) > 0] = 255
    batch = replace(
        batch,
        image=F.pad(batch.image, (0, 0, *ring)),
        image_valid=F.pad(batch.image_valid, ring),
        label_prob=label_prob,
        label_weight=F.pad(batch.label_weight, ring, value=255),
        label_unknown=F.pad(batch.label_unknown, ring),
        landmarks=batch.landmarks + ROUND,
    )
    size = (cameras.size[0] + 2 * ROUND, cameras.size[1] + 2 * ROUND)
    vertices = model.geometry(batch.frame)[0].detach() + torch.tensor([0.004, 0.002, 0.0])
    return model, batch, vertices, replace(cameras, K=principal, size=size)


def test_a_step_on_windows_is_the_step_on_whole_pictures(wide):
    model, batch, vertices, cameras = wide
    vertices.requires_grad_()
    results = []
    for b, c in ((batch, cameras), crop_to_head(batch, cameras, vertices, 0.0)):
        seen = model.renderer.rasterize(vertices, c)
        weight = ((b.label_weight == 255) & ~seen.below_neck).float()
        wrong = model.renderer.label_loss(seen, model.class_of_label, model.class_weight, b.label_prob)
        (gradient,) = torch.autograd.grad((wrong * weight).sum(), vertices)
        distance = (c.project(model.head.landmarks(vertices))[..., :2] - b.landmarks).detach()
        results.append((gradient, distance, c.size))
    assert results[1][2][1] < results[0][2][1] - ROUND, "narrower pictures"
    assert results[1][2][1] % SIZE_MULTIPLE == 0
    torch.testing.assert_close(results[1][1], results[0][1], atol=1e-3, rtol=0)
    torch.testing.assert_close(results[1][0], results[0][0], atol=1e-3 * results[0][0].abs().max().item(), rtol=0)


def test_the_window_holds_the_mask_where_the_model_is_elsewhere(wide):
    _, batch, vertices, cameras = wide
    cut, _ = crop_to_head(batch, cameras, vertices + torch.tensor([10.0, 0.0, 0.0]), 0.0)

    def head_pixels(views):
        return ((views.label_prob[..., 0] < 255) & (views.label_weight > 0)).sum((1, 2))

    assert torch.equal(head_pixels(cut), head_pixels(batch))


def test_without_masks_the_model_decides(wide):
    _, batch, vertices, cameras = wide
    batch.label_weight.zero_()
    cut, small = crop_to_head(batch, cameras, vertices, 0.0)
    assert cut.image.shape[1:3] == small.size
    assert small.size[1] < cameras.size[1] - ROUND
    v_pix, whole = small.project(vertices)[..., :2], cameras.project(vertices)[..., :2]
    inside = ((whole > 0) & (whole < torch.tensor(cameras.size[::-1]))).all(-1)
    assert (v_pix[inside] > 0).all()
    assert (v_pix[inside] < torch.tensor(small.size[::-1])).all()
