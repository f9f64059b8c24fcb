"""A step on a GPU never waits for it: no size depends on a value, and torch can capture it as one graph."""

import functools
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from headfit.assets import asset_path
from headfit.capture import open_capture
from headfit.capture.framing import framings_at
from headfit.capture.views import ViewBatch
from headfit.fitting.config import RunArgs, Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.module import HeadFit
from headfit.fitting.observation import Observation
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.run import build
from headfit.fitting.settings import load_config
from tests.support.fake_device import fake_tensors, faked

pytestmark = pytest.mark.slow

#: Views (frame, camera) of a step.
PAIRS = [(0, 0), (0, 2), (1, 1)]


@pytest.fixture(scope="module")
def fit(capture_path: Path) -> HeadFit:
    """The default fit of a capture, before its first step."""
    config = load_config(asset_path("configs/fit.yaml"))
    config.texture_size = 64
    capture = open_capture(capture_path)
    capture.has_dense_landmarks = True  # so that their term is computed, though no file has any
    module = build(config, RunArgs(capture=str(capture_path)), capture)
    assert module.model.use_dense_landmarks
    assert set(module.plan.stages) == set(config.stages), "the hair stage, too"
    return module


def batch_of(fit: HeadFit) -> ViewBatch:
    return fit.data.view_batch(PAIRS, framings_at(fit.model.head_windows, 64))


def total(fit: HeadFit, batch: ViewBatch, stage: Stage) -> Tensor:
    return torch.stack([stage.weights[name] * value for name, value in fit.losses(batch, stage).items()]).sum()


def test_every_loss_is_computed_with_tensors_that_are_all_on_the_gpu_and_have_no_values(fit):
    batch = batch_of(fit)
    with fake_tensors("cuda:0"), torch.no_grad(), faked(fit.model, "cuda:0", requires_grad=False), visited(fit.model):
        stages = [fit.plan.stages[name] for name in ("fine", "polish", "hair")]  # with all terms
        for stage in (*stages, replace(stages[0], blur=2.0)):
            assert total(fit, batch, stage).device == torch.device("cuda:0"), stage


def test_no_size_depends_on_values_in_the_gradient_and_the_update_either(fit):
    """On fake tensors of the CPU, since torch differentiates none of a device that it was not built for."""
    batch = batch_of(fit)
    with fake_tensors("cpu"), faked(fit.model, "cpu", requires_grad=True), visited(fit.model):
        optimizer = FitAdam([{"params": list(fit.model.parameters()), "lr": 0.1}])
        total(fit, batch, fit.plan.stages["polish"]).backward()
        optimizer.step()
        fit.model.geometry.clamp()


def visited(model: FittedHead):
    """All frames have been moved; else the program would read from the device which."""
    return mock.patch.object(FittedHead, "visited_frames", frozenset(range(len(model.capture.frames))))


def test_torch_captures_a_step_as_one_graph_that_gives_the_same_loss(fit):
    model, stage, batch = fit.model, fit.plan.stages["photo"], batch_of(fit)
    given = model.given_cameras(batch)
    # What the program computes in numpy before a step: the cameras, and which frames have been moved.
    prepared = mock.patch.object(FittedHead, "given_cameras", lambda self, batch: given)
    matrix = torch.eye(len(model.geometry.smooth.free_vertices))
    with (
        mock.patch("headfit.raster.backend.is_asynchronous", lambda device: True),
        mock.patch.object(model.geometry.smooth, "_inverse", matrix),
        prepared,
        visited(model),
        without_locks(),
    ):
        expected = total(fit, batch, stage)
        captured = torch.compile(total, fullgraph=True, backend="eager")(fit, batch, stage)
    assert torch.equal(captured, expected) and expected > 0
    torch._dynamo.reset()


def without_locks():
    """Up to Python 3.11 `cached_property` takes a lock, which torch cannot capture."""
    if sys.version_info >= (3, 12):
        return mock.patch.multiple(Observation)
    cached = {k: property(v.func) for k, v in vars(Observation).items() if isinstance(v, functools.cached_property)}
    return mock.patch.multiple(Observation, **cached)
