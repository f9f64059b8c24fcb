"""A fit whose parameters are true, and one frame of it seen by its cameras."""

from pathlib import Path

import pytest
import torch

from headfit.capture.framing import framings_at
from headfit.fitting.config import RunArgs
from headfit.fitting.module import HeadFit
from headfit.fitting.observation import Observation
from headfit.fitting.settings import load_config
from headfit.synth import synthesize
from tests.support.true_fit import true_fit


@pytest.fixture(scope="package")
def true_module(settings, tmp_path_factory) -> HeadFit:
    """Of the default head: gloss differs between a vertex and a pixel by the size of a face."""
    return still_fit(settings, tmp_path_factory.mktemp("small") / "capture", frames=2, width=60, height=80)


@pytest.fixture(scope="package")
def sharp_fit(settings, tmp_path_factory) -> HeadFit:
    return still_fit(settings, tmp_path_factory.mktemp("sharp") / "capture", frames=1, width=240, height=320)


@pytest.fixture
def sharp_module(sharp_fit):
    """One whose pictures show irises, and the slopes of colours."""
    truth = {name: value.clone() for name, value in sharp_fit.model.state_dict().items()}
    yield sharp_fit
    sharp_fit.model.load_state_dict(truth)


def still_fit(settings, capture: Path, **size: int) -> HeadFit:
    """A fit with the true parameters, without gradients."""
    synthesize(capture, cameras=3, seed=1, **size)
    module = true_fit(load_config(settings, ["head=default"]), RunArgs(capture=str(capture), out="unused"))
    for parameter in module.model.parameters():
        parameter.requires_grad_(False)
    return module


@pytest.fixture(scope="package")
def views(true_module):
    """All views of both frames."""
    return true_module.data.view_batch(
        [(frame, camera) for frame in range(2) for camera in range(3)], framings_at(true_module.model.head_windows, 1e4)
    )


@pytest.fixture
def seen(true_module, views) -> Observation:
    """Frame 0, a little off: its residuals are not zero."""
    geometry = true_module.model.geometry
    before = geometry.translation.clone()
    geometry.translation[0] += torch.tensor([0.002, -0.001, 0.001])
    yield true_module.model.observe(views.of_frame(0), crop_blur=0.0)
    geometry.translation.copy_(before)
