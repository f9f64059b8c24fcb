"""Whole steps: colours, and the way back to the truth."""

import pytest
import torch

from headfit.errors import HeadfitError
from headfit.fitting.config import Stage
from headfit.fitting.second_order.colours import colour_residuals, colours_at
from headfit.fitting.second_order.solver import GaussNewton
from headfit.fitting.second_order.unknowns import SOLVED

WEIGHTS = {"mask": 1.0, "photometric": 3.0, "landmark": 50.0, "expression": 1e-3, "joints": 1e-2, "temporal": 0.1}
RATES = {"rotation": 0.2, "translation": 0.05, "expression": 0.5, "joints": 0.3}
DRAWN = torch.Generator()


def test_colours_are_those_of_the_renderer(true_module, seen):
    """Which interpolates gloss from the vertices: at most pixels a difference of a grey level."""
    model, renderer = true_module.model, true_module.model.renderer
    pixels = seen.on_head[0].flatten().nonzero()[::7, 0]
    index_img = seen.fragments.head_index
    lit = model.photometric_class[model.class_of_pixel(seen)[0].flatten()[pixels]]
    assert lit.sum() > 20
    for strength, share in ((0.0, 1.0), (0.02, 0.9)):
        model.appearance.gloss.fill_(strength)
        shown = renderer.shade(seen.fragments, seen.normals, model.appearance, seen.batch.camera, index_img)
        expected = shown[0].flatten(0, 1)[pixels]
        found = colours_at(seen, model, pixels.expand(len(seen.v_views), -1))[0]
        model.appearance.gloss.zero_()
        off = (found - expected)[lit].abs().amax(-1)
        assert off.quantile(share) < 4e-3


def test_colour_residuals_change_with_the_slope_of_the_picture(true_module, seen):
    """In a picture that rises by 1/255 per column; its first and last column have no neighbours beyond."""
    model = true_module.model
    height, width = seen.batch.image.shape[1:3]
    ramp = torch.arange(width, dtype=torch.uint8).expand(len(seen.v_views), height, width)
    seen.batch.image.copy_(ramp[..., None].expand_as(seen.batch.image))
    residuals = colour_residuals(seen, model, DRAWN.manual_seed(0))
    weighed = residuals.weight > 0
    right = torch.linalg.inv(seen.cameras.R)[:, :, 0] * 1e-3  # a millimetre to the right in each camera
    points = (seen.v_views[0][residuals.corners] * residuals.bary[..., None]).sum(1).view(len(right), -1, 3)
    column = seen.cameras.project(points)[..., 0]
    moved = seen.cameras.project(points + right[:, None])[..., 0] - column
    change = (residuals.direction.view(points.shape) * right[:, None]).sum(-1)
    expected = -moved / 255
    weighed &= ((column > 2) & (column < width - 2)).flatten()
    assert weighed.sum() > 100
    torch.testing.assert_close(change.flatten()[weighed], expected.flatten()[weighed], rtol=0.02, atol=1e-5)


@pytest.mark.slow
def test_steps_lead_back_to_the_truth_and_repeat_to_the_bit(true_module, views):
    model = true_module.model
    geometry, truth = model.geometry, {k: v.clone() for k, v in model.state_dict().items()}
    vertices = geometry(torch.arange(2))[0]
    found = []
    for _ in range(2):
        model.load_state_dict(truth)
        generator = torch.Generator().manual_seed(1)
        for name, size in (("rotation", 0.03), ("translation", 0.004), ("expression", 0.1), ("joints_scaled", 0.03)):
            rows = getattr(geometry, name)
            rows += size * torch.randn(rows.shape, generator=generator)
        geometry.clamp()
        before = (geometry(torch.arange(2))[0] - vertices).norm(dim=-1).mean()
        solver = GaussNewton(model, seed=0)
        for number in range(6):
            stage = Stage(solver="gauss_newton", rates=RATES, weights=WEIGHTS, blur=4.0 if number < 2 else 0.0)
            costs = solver.step(views, stage, number)
        assert set(costs) == {"mask", "photometric", "landmark", "temporal"}
        after = (geometry(torch.arange(2))[0] - vertices).norm(dim=-1).mean()
        found.append({name: getattr(geometry, name).clone() for name in SOLVED.values()})
    model.load_state_dict(truth)
    assert after < 0.25 * before, f"{before * 1e3:.2f} mm, then {after * 1e3:.2f} mm"
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_stage_without_residuals_is_an_error(true_module, views):
    stage = Stage(solver="gauss_newton", rates=RATES, weights={"expression": 1.0})
    with pytest.raises(HeadfitError, match="none of its loss terms"):
        GaussNewton(true_module.model, seed=0).step(views, stage, 0)
