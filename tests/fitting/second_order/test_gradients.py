"""The residuals of points, weighted, have the gradient of the loss terms that they stand for."""

from dataclasses import replace

import pytest
import torch

from headfit.capture.framing import framings_at
from headfit.capture.views import ViewBatch
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.second_order import colours
from headfit.fitting.second_order.frame_steps import add_priors
from headfit.fitting.second_order.motion import VertexMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.person import identity_prior_derivatives
from headfit.fitting.second_order.points import dense_landmark_residuals, landmark_residuals, temporal_residuals
from headfit.fitting.second_order.residuals import pull_back
from headfit.fitting.second_order.unknowns import OF_FRAME, Columns
from headfit.fitting.terms import TERMS
from headfit.fitting.terms.dense_landmark import dense_landmark_weights
from headfit.fitting.terms.identity import identity_prior
from headfit.fitting.terms.landmark import landmark_weights
from headfit.render import COLOUR_LOSS

STAGE = Stage(rates=dict.fromkeys(OF_FRAME, 0.1), weights={"expression": 0.3, "joints": 0.7, "detail": 0.2})


def gradient_of_term(model, views, name: str, columns: Columns, loss=None) -> torch.Tensor:
    """The gradient `[P]` of a loss term by the unknowns of the views' frame."""
    parameters = [getattr(model.geometry, name) for name in columns.parameter]
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad():
        value = (loss or TERMS[name].loss)(model.observe(views, crop_blur=0.0), model, STAGE)
        found = torch.autograd.grad(value, parameters, allow_unused=True)
    for parameter in parameters:
        parameter.requires_grad_(False)
    frame = int(views.frame[0])
    rows = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
    return torch.cat([row[frame].flatten() for row in rows])


def with_dense_landmarks(model: FittedHead, views: ViewBatch) -> ViewBatch:
    """The views with dense landmarks some pixels from the model's."""
    o = model.observe(views)
    points = o.cameras.project(model.head.dense_landmarks(o.v_views))[..., :2]
    noise = 3 * torch.randn(points.shape, generator=torch.Generator().manual_seed(0))
    return replace(views, dense_landmarks=points + noise, dense_landmark_weight=torch.ones(points.shape[:2]))


@pytest.mark.parametrize("name", ["landmark", "dense_landmark", "temporal"])
def test_data_terms(true_module, views, seen, name):
    model = true_module.model
    model.geometry.expression[0] += 0.01
    columns = Columns.of(model.geometry, STAGE.rates)
    of_frame = with_dense_landmarks(model, views.of_frame(0))
    o = model.observe(of_frame, crop_blur=0.0)
    if name == "landmark":
        residuals = landmark_residuals(o, model, STAGE).times(1 / landmark_weights(o, model, STAGE).sum())
    elif name == "dense_landmark":
        residuals = dense_landmark_residuals(o, model, STAGE).times(1 / dense_landmark_weights(o, model, STAGE).sum())
    else:
        residuals = temporal_residuals(o, model)
    motion = VertexMotion(model.geometry, columns)(o.frames[0])
    ours = NormalEquations.of(residuals, motion).gradient
    expected = gradient_of_term(model, of_frame, name, columns).double()
    model.geometry.expression[0] -= 0.01
    assert expected.abs().max() > 0
    torch.testing.assert_close(ours, expected, atol=1e-3 * float(expected.abs().max()), rtol=0)


@pytest.mark.slow
def test_colours(sharp_module, monkeypatch):
    """The photometric term without its edges, of a head that is a little off; skin and eyes have their own gloss.
    Slopes are differences between pixels here, so the gradients agree only roughly."""
    model = sharp_module.model
    geometry, gloss = model.geometry, model.appearance.gloss
    geometry.translation[0] += torch.tensor([0.002, -0.001, 0.001])
    eyes = [model.head.joint_names.index(name) for name in ("left_eye", "right_eye")]
    geometry.joints_scaled[0, eyes, :2] += 0.1
    gloss.copy_(0.02 * torch.randn(gloss.shape, generator=torch.Generator().manual_seed(0)))
    monkeypatch.setattr(colours, "LIT_SAMPLES", 20_000)
    monkeypatch.setattr(colours, "EYE_SAMPLES", 4_000)
    views = sharp_module.data.view_batch([(0, camera) for camera in range(3)], framings_at(model.head_windows, 1e4))
    columns = Columns.of(geometry, STAGE.rates)
    residuals = colours.colour_residuals(model.observe(views), model, torch.Generator().manual_seed(0)).times(1 / 3)
    ours = NormalEquations.of(residuals, VertexMotion(geometry, columns)(torch.tensor(0))).gradient
    expected = gradient_of_term(model, views, "photometric", columns, loss=loss_of_brightness).double()
    groups = dict(columns.parameter)
    joints = groups["joints_scaled"].start
    groups |= {f"eye {eye}": slice(joints + 6 * eye, joints + 6 * eye + 2) for eye in eyes}
    for name, of_group in groups.items():
        agreement = torch.nn.functional.cosine_similarity(ours[of_group], expected[of_group], dim=0)
        assert agreement > (0.8 if name.startswith("eye") else 0.9), f"{name}: {float(agreement):.3f}"
        assert 0.7 < ours[of_group].norm() / expected[of_group].norm() < 1.4, name


def loss_of_brightness(o: Observation, model: FittedHead, stage: Stage) -> torch.Tensor:
    """The photometric term's loss of the mean of the channels, where colours move the surface; edges stay."""
    shown = model.compare_colours(o)
    off = (shown.colours - shown.image).mean(-1)
    each = 3 * (off.square() + COLOUR_LOSS[1] ** 2).sqrt() * (shown.lit | shown.turning)
    return (each.flatten(1).sum(1) / o.head_area).mean()


@pytest.mark.parametrize("name", ["expression", "joints", "detail"])
def test_priors(true_module, views, name):
    """Where some units are beyond their range."""
    model, of_frame = true_module.model, views.of_frame(0)
    columns, frame = Columns.of(model.geometry, STAGE.rates), torch.tensor(0)
    before = columns.values(model.geometry, frame)
    columns.store(model.geometry, frame, torch.linspace(-0.3, 1.2, len(columns)))
    prior = model.geometry.joint_prior
    equations = NormalEquations(torch.zeros(len(columns), len(columns)).double(), torch.zeros(len(columns)).double())
    stage = Stage(rates=STAGE.rates, weights={name: STAGE.weights[name]})
    add_priors(equations, columns, columns.values(model.geometry, frame), stage, model.head.expression_lowest, prior)
    expected = STAGE.weights[name] * gradient_of_term(model, of_frame, name, columns).double()
    columns.store(model.geometry, frame, before)
    torch.testing.assert_close(equations.gradient, expected, atol=1e-5, rtol=1e-4)
    assert (equations.matrix.diagonal()[expected != 0] > 0).all()


def test_prior_of_the_identity():
    identity = torch.linspace(-9, 9, 40, dtype=torch.float64).requires_grad_(True)
    curvature, gradient = identity_prior_derivatives(identity.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(identity_prior(identity), identity)[0])
    ends = identity.detach() - gradient / curvature  # a step of this cost alone ends where it is least
    torch.testing.assert_close(ends, torch.zeros_like(ends))


def test_an_eye_turns_more_freely_than_the_jaw_and_moves_as_little(true_module):
    prior, names = true_module.model.geometry.joint_prior, true_module.model.head.joint_names
    for name in names:
        turning = 0.3 if name.endswith("_eye") else 1.0
        torch.testing.assert_close(prior[names.index(name)], torch.tensor([turning] * 3 + [1.0] * 3))
    assert {"jaw", "left_eye", "right_eye"} <= set(names)


def test_pulled_back_directions_agree_with_finite_differences(seen):
    points = seen.v_views[:, 100:110].double()
    cameras = type(seen.cameras)(
        seen.cameras.K.double(), seen.cameras.R.double(), seen.cameras.t.double(), None, seen.cameras.size
    )
    direction = torch.randn(*points.shape[:2], 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    ends = [(cameras.project(points + sign * 1e-6 * step)[..., :2] * direction).sum(-1) for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / 2e-6
    torch.testing.assert_close(pull_back(cameras, points, direction) @ step, expected, rtol=1e-6, atol=1e-6)
