"""Whole steps: colours, and the way back to the truth."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from headfit.capture.framing import framings_at
from headfit.errors import HeadfitError
from headfit.fitting.config import Stage
from headfit.fitting.second_order import frame_steps, frame_threads, solver
from headfit.fitting.second_order.colours import SurfacePoints, brightness_by_normal, brightness_errors, colours_of
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.person import identity_prior_derivatives, move_together
from headfit.fitting.second_order.unknowns import OF_FRAME, Columns

WEIGHTS = {"mask": 1.0, "photometric": 3.0, "landmark": 50.0, "expression": 1e-3, "joints": 1e-2, "temporal": 0.1}
RATES = {"rotation": 0.2, "translation": 0.05, "expression": 0.5, "joints": 0.3}
DRAWN = torch.Generator()


def test_colours_are_those_of_the_renderer(sharp_module):
    """Which interpolates gloss from the vertices. Skin and eyes have gloss of their own."""
    model, renderer = sharp_module.model, sharp_module.model.renderer
    seen = model.observe(sharp_module.data.view_batch([(0, 0)], framings_at(model.head_windows, 1e4)))
    pixels = seen.on_head[0].flatten().nonzero()[:, 0]
    of_model = model.class_of_pixel(seen)[0].flatten()[pixels]
    for strength, share in (((0.0, 0.0), 1.0), ((0.02, -0.01), 0.9)):
        model.appearance.gloss.copy_(torch.tensor(strength)[:, None, None].expand_as(model.appearance.gloss))
        shown = renderer.shade(
            seen.fragments, seen.normals, model.appearance, seen.batch.camera, seen.fragments.head_index
        )
        found = colours_of(seen, model, SurfacePoints.of(seen, model, pixels[None]))[0]
        model.appearance.gloss.zero_()
        for kind in (model.photometric_class, model.turning_class):
            off = (found - shown[0].flatten(0, 1)[pixels])[kind[of_model]].abs().amax(-1)
            assert len(off) > 20 and off.quantile(share) < 4e-3


def test_brightness_changes_with_the_normal_as_finite_differences_say(true_module, seen):
    """Also of skin that mirrors its surroundings."""
    model = true_module.model
    lit = seen.on_head & model.photometric_class[model.class_of_pixel(seen)]
    pixels = lit[0].flatten().nonzero()[::11, 0].expand(len(seen.v_views), -1)
    points = SurfacePoints.of(seen, model, pixels)
    model.appearance.gloss.uniform_(0, 0.05, generator=DRAWN.manual_seed(0))
    by_normal = brightness_by_normal(seen, model, points)
    for axis in range(3):
        step = torch.zeros(3)
        step[axis] = 2e-3
        ends = [colours_of(seen, model, replace(points, normal=points.normal + s * step)).mean(-1) for s in (1, -1)]
        expected = (ends[0] - ends[1]) / 4e-3
        assert expected[0].abs().max() > 0.01
        torch.testing.assert_close(by_normal[0, :, axis], expected[0], atol=2e-3, rtol=0.02)
    model.appearance.gloss.zero_()


def test_errors_and_slopes_are_those_of_the_whole_render(true_module):
    """Of pixels on the head, at its outline and at the picture's border; rendered there alone."""
    model = true_module.model
    o = model.observe(true_module.data.view_batch([(0, 0), (0, 1)], framings_at(model.head_windows, 1e4)))
    shown = model.compare_colours(o)
    compared = shown.compared.flatten(1)
    inside = torch.stack([of_view.nonzero()[:, 0][:: len(compared[0]) // 500 + 1][:40] for of_view in compared])
    pixels = torch.cat([inside, torch.tensor([[0, compared.shape[1] - 1]]).expand(2, -1)], dim=1)
    value, slope = brightness_errors(o, model, pixels)
    rendered = shown.rendered.mean(-1)
    off = (rendered - shown.image.mean(-1)).flatten(1).gather(1, pixels)
    padded = torch.nn.functional.pad(rendered[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    along_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    along_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    torch.testing.assert_close(value, off)
    for axis, along in enumerate((along_x, along_y)):
        assert along.abs().max() > 0.01
        torch.testing.assert_close(slope[..., axis], along.flatten(1).gather(1, pixels))


def test_normals_turn_with_the_corners_as_finite_differences_say():
    noise = torch.randn(2, 5, 3, 3, generator=DRAWN.manual_seed(0), dtype=torch.float64)
    triangle = torch.eye(3, dtype=torch.float64) + 0.1 * noise  # no slivers
    by_normal = torch.randn(2, 5, 3, generator=DRAWN, dtype=torch.float64)
    points = SurfacePoints(by_normal, by_normal, by_normal, triangle, torch.zeros(2, 5))

    def along(moved: torch.Tensor) -> torch.Tensor:
        a, b, c = moved.unbind(2)
        normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        return (normal * by_normal).sum(-1)

    for corner, axis in itertools.product(range(3), range(3)):
        step = torch.zeros(3, 3, dtype=torch.float64)
        step[corner, axis] = 1e-6
        expected = (along(triangle + step) - along(triangle - step)) / 2e-6
        torch.testing.assert_close(points.turned(by_normal)[..., corner, axis], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_detail_is_found(true_module, views):
    """Most of a displacement of a millimetre and more, where the cameras look."""
    model = true_module.model
    geometry = model.geometry
    truth, vertices = geometry.detail_mm.clone(), geometry(torch.arange(2))[0]
    seen = model.observe(views.of_frame(0)).fragments
    corners = model.renderer.head_faces[seen.index_img[seen.head].long().unique()].unique().long()
    geometry.detail_mm += 1.5 * torch.randn(truth.shape, generator=DRAWN.manual_seed(0))

    def off() -> torch.Tensor:
        return (geometry(torch.arange(1))[0] - vertices[:1])[:, corners].norm(dim=-1).mean()

    before = off()
    for number in range(3):
        stage = Stage(
            solver="gauss_newton", rates={"detail": 2.0}, weights={"mask": 1, "photometric": 3, "detail": 1e-5}
        )
        solver.GaussNewton(model, seed=0).step(views, stage, number)
    after = off()
    geometry.detail_mm.copy_(truth)
    assert after < 0.5 * before, f"{before * 1e3:.2f} mm, then {after * 1e3:.2f} mm"


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
        steps = solver.GaussNewton(model, seed=0)
        for number in range(6):
            stage = Stage(solver="gauss_newton", rates=RATES, weights=WEIGHTS, blur=4.0 if number < 2 else 0.0)
            costs = steps.step(views, stage, number)
        assert set(costs) == {"mask", "photometric", "landmark", "temporal"}
        after = (geometry(torch.arange(2))[0] - vertices).norm(dim=-1).mean()
        found.append({name: getattr(geometry, name).clone() for name in OF_FRAME.values()})
    model.load_state_dict(truth)
    assert after < 0.25 * before, f"{before * 1e3:.2f} mm, then {after * 1e3:.2f} mm"
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.fixture
def moved_model(true_module):
    """The model somewhere else; it gets its state back."""
    model, threads = true_module.model, torch.get_num_threads()
    truth = {name: value.clone() for name, value in model.state_dict().items()}
    model.geometry.translation += 0.003
    yield model
    torch.set_num_threads(threads)
    model.load_state_dict(truth)


@pytest.mark.slow
def test_steps_of_a_person_and_all_its_frames_lead_back_to_the_truth(moved_model, views):
    geometry, rates = moved_model.geometry, RATES | {"scale": 0.1, "identity": 1.0}
    weights = {"mask": 1.0, "landmark": 50.0, "expression": 1e-3, "joints": 1e-2, "identity": 2e-3}
    geometry.translation -= 0.003
    posed, scale = geometry(torch.arange(2))[0], float(geometry.log_scale)
    rest = geometry.log_scale.exp() * geometry.rest()
    generator = torch.Generator().manual_seed(1)
    geometry.log_scale += 0.05
    geometry.identity += 0.7 * torch.randn(geometry.identity.shape, generator=generator)
    geometry.translation += 0.004 * torch.randn(geometry.translation.shape, generator=generator)

    def off() -> tuple[float, float]:
        ends = (geometry(torch.arange(2))[0] - posed, geometry.log_scale.exp() * geometry.rest() - rest)
        return tuple(1e3 * float(end.norm(dim=-1).mean()) for end in ends)

    before = off()
    for number in range(6):
        stage = Stage(solver="gauss_newton", rates=rates, weights=weights, blur=4.0 if number < 2 else 0.0)
        solver.GaussNewton(moved_model, seed=0).step(views, stage, number)
    after = off()
    assert after[0] < 0.5 * before[0] and after[1] < 0.5 * before[1], f"{before} mm, then {after} mm"
    assert abs(float(geometry.log_scale) - scale) < 0.02


@pytest.mark.parametrize("scale_rate", [1e3, 1e-4])
def test_a_step_of_person_and_frames_is_that_of_bounded_least_squares(moved_model, scale_rate):
    """The identity's prior counts once for each frame, and frames make up for a scale that is held at its bound."""
    geometry, weight = moved_model.geometry, 0.3
    columns = Columns.of(geometry, {"translation": 1e3, "scale": scale_rate, "identity": 1e3})
    geometry.identity.normal_(0, 2, generator=DRAWN.manual_seed(0))
    count, own, shared = 2, columns.of_frame, len(columns) - columns.of_frame
    rng = np.random.default_rng(0)
    rows, right = rng.normal(size=(count, 300, own + shared)), rng.normal(size=(count, 300))
    whole = np.zeros((300 * count + shared - 1, own * count + shared))
    for frame in range(count):
        whole[300 * frame : 300 * frame + 300, own * frame : own * frame + own] = rows[frame, :, :own]
        whole[300 * frame : 300 * frame + 300, own * count :] = rows[frame, :, own:]
    root = np.sqrt(count * weight * identity_prior_derivatives(geometry.identity)[0].double().numpy())
    whole[300 * count :, own * count + 1 :] = np.diag(root)
    target = np.concatenate([right.ravel(), -root * geometry.identity.numpy()])
    limit = np.full(whole.shape[1], 1e3)
    limit[own * count] = scale_rate
    expected = scipy.optimize.lsq_linear(whole, target, (-limit, limit)).x
    before = [columns.values(geometry, torch.tensor(frame)) for frame in range(count)]
    equations = [
        NormalEquations(torch.from_numpy(r.T @ r), torch.from_numpy(-r.T @ b)) for r, b in zip(rows, right, strict=True)
    ]
    move_together(geometry, columns, range(count), equations, Stage(weights={"identity": weight}))
    for frame in range(count):
        moved = (columns.values(geometry, torch.tensor(frame)) - before[frame]).numpy()
        place = np.r_[own * frame : own * frame + own, own * count : own * count + shared]
        np.testing.assert_allclose(moved, expected[place], atol=2e-4)
    assert abs(expected[own * count]) == pytest.approx(1e-4) if scale_rate < 1 else abs(expected[own * count]) > 1e-3


@pytest.mark.parametrize("neighbours_wait", [True, False])
def test_frames_on_threads_end_where_they_end_one_after_the_other(moved_model, views, monkeypatch, neighbours_wait):
    """To the bit; both at once only without the temporal term, by which a frame sees its neighbour."""
    weights = dict(WEIGHTS)
    if not neighbours_wait:
        weights.pop("temporal")
        monkeypatch.setattr(frame_threads, "wait", lambda earlier: None)
    stage = Stage(solver="gauss_newton", rates=RATES | {"detail": 0.5}, weights=weights)
    start = {name: value.clone() for name, value in moved_model.state_dict().items()}
    found = []
    for count in (1, 2):
        moved_model.load_state_dict(start)
        torch.set_num_threads(count)
        costs = solver.GaussNewton(moved_model, seed=2**32 - 1).step(views, stage, 3)
        found.append([*costs.values(), *(getattr(moved_model.geometry, name).clone() for name in OF_FRAME.values())])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_colours_that_are_not_finite_give_a_cost_that_is_not(moved_model, views):
    """Which ends the fit with the last good checkpoint, as after a first-order step."""
    levels = moved_model.appearance.levels
    levels[0].fill_(torch.nan)
    costs = solver.GaussNewton(moved_model, seed=0).step(views, Stage(rates=RATES, weights=WEIGHTS), 0)
    assert not costs["photometric"].isfinite() and costs["mask"].isfinite()


def test_masks_that_are_not_trusted_pull_less(true_module, moved_model, seen):
    model = true_module.model
    weights = []
    for trust in (1.0, 0.1):
        model.mask_trust[0, 1] = trust
        residuals = frame_steps.mask_residuals(seen, model, 0.0, torch.Generator().manual_seed(0))
        weights.append(residuals.weight.unflatten(0, (3, -1)))
    assert (weights[0].sum(1) > 0).all()
    torch.testing.assert_close(weights[1], weights[0] * torch.tensor([1.0, 0.1, 1.0])[:, None])


def test_a_stage_without_residuals_is_an_error(true_module, views):
    stage = Stage(solver="gauss_newton", rates=RATES, weights={"expression": 1.0})
    with pytest.raises(HeadfitError, match="none of its loss terms"):
        solver.GaussNewton(true_module.model, seed=0).step(views, stage, 0)
