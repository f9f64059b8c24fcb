"""A step on a GPU never waits for it: no size depends on a value, and torch can capture it as one graph."""

import functools
import sys
from unittest import mock

import pytest
import torch

from headfit.assets import asset_path
from headfit.capture import open_capture
from headfit.capture.framing import framings_at
from headfit.fitting.model import FittedHead
from headfit.fitting.module import HeadFit
from headfit.fitting.observation import Observation
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.run import build
from headfit.fitting.settings import load_config
from headfit.fitting.smooth_offsets import SmoothOffsets
from tests.support.fake_device import fake_tensors, make_fake

pytestmark = pytest.mark.slow

#: Views (frame, camera) of a step.
PAIRS = [(0, 0), (0, 2), (1, 1)]


def fit_of(name: str, args) -> HeadFit:
    config = load_config(asset_path(f"configs/{name}.yaml"))
    config.texture_size = 64
    return build(config, args, open_capture(args.capture))


def batch_of(module: HeadFit, resolution: int):
    return module.data.view_batch(PAIRS, framings_at(module.model.head_windows, resolution))


def total(module: HeadFit, batch, stage) -> torch.Tensor:
    values = module.losses(batch, stage)
    assert values
    return torch.stack([stage.weights[name] * value for name, value in values.items()]).sum()


@pytest.mark.parametrize("name", ["fit", "demo", "track"])
def test_every_stage_computes_its_loss_with_tensors_that_are_all_on_the_gpu_and_have_no_values(name, args):
    module = fit_of(name, args)
    batches = {name: batch_of(module, stage.resolution) for name, stage in module.plan.stages.items()}
    with fake_tensors("cuda:0"), torch.no_grad(), visited(module.model):
        make_fake(module.model, "cuda:0", requires_grad=False)
        for name, stage in module.plan.stages.items():
            assert total(module, batches[name], stage).device == torch.device("cuda:0")


def test_neither_has_a_size_that_depends_on_values_in_the_gradient_and_the_update(args):
    """On fake tensors of the CPU, since torch differentiates none of a device that it was not built for."""
    module = fit_of("fit", args)
    batches = {name: batch_of(module, stage.resolution) for name, stage in module.plan.stages.items()}
    with fake_tensors("cpu"), visited(module.model):
        make_fake(module.model, "cpu", requires_grad=True)
        optimizer = FitAdam([{"params": list(module.model.parameters()), "lr": 0.1, "rows": False}])
        for name, stage in module.plan.stages.items():
            total(module, batches[name], stage).backward()
            optimizer.step()
            module.model.geometry.clamp()


def visited(model: FittedHead):
    """All frames have been moved; else the program would read from the device which."""
    return mock.patch.object(FittedHead, "visited_frames", frozenset(range(len(model.capture.frames))))


def test_torch_captures_a_step_as_one_graph_that_gives_the_same_loss(args):
    module = fit_of("fit", args)
    model, stage = module.model, module.plan.stages["polish"]
    model.visited.fill_(True)
    batch = batch_of(module, 64)
    given, known = model.given_cameras(batch), model.visited_frames
    with mock.patch("headfit.raster.backend.is_asynchronous", lambda device: True), without_locks():
        for part in model.modules():
            if isinstance(part, SmoothOffsets):  # the matrix is made before the first step
                part._inverse_on(model.geometry.offset_field)
        expected = total(module, batch, stage)
        # What the program computes in numpy before a step: the cameras, and which frames have been moved.
        with (
            mock.patch.object(FittedHead, "given_cameras", lambda self, batch: given),
            mock.patch.object(FittedHead, "visited_frames", known),
        ):
            captured = torch.compile(total, fullgraph=True, backend="eager")(module, batch, stage)
    assert torch.equal(captured, expected)
    torch._dynamo.reset()


def without_locks():
    """Up to Python 3.11 `cached_property` takes a lock, which torch cannot capture."""
    if sys.version_info >= (3, 12):
        return mock.patch.multiple(Observation)
    cached = {k: property(v.func) for k, v in vars(Observation).items() if isinstance(v, functools.cached_property)}
    return mock.patch.multiple(Observation, **cached)
