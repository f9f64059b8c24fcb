"""A fit finds back cameras that are a little off, and uses, reports and writes what it found."""

import json

import numpy as np
import pytest
import torch

from headfit.capture import open_capture
from headfit.capture.manifest import read_camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.evaluate.health import CAMERAS, HEALTH, report_health
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import Run
from headfit.synth import synthesize
from tests.support.true_fit import true_fit


@pytest.fixture(scope="module")
def capture_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("cameras") / "capture"
    synthesize(path, cameras=5, frames=2, width=96, height=128, seed=4)
    return path


@pytest.mark.slow
def test_gradients_of_a_step_lead_back_to_the_true_cameras(capture_path):
    """With the true head and a wrong camera, masks alone bring that camera back, and leave the others."""
    from headfit.capture.framing import framings_at
    from headfit.fitting.config import Stage
    from headfit.fitting.optimizer import FitAdam
    from headfit.fitting.terms import TERMS

    model = true_fit(FitConfig(texture_size=64), RunArgs(capture=str(capture_path))).model
    data = module_data(model, capture_path)
    cameras = model.capture.cameras
    wrong = torch.tensor([0, 0, 0, 2.0, -1.5, 0, 0, 0, 0])  # 1 and 0.75 mm at the head
    start = torch.zeros_like(model.cameras.values)
    start[1] = wrong
    points = model.vertices(0)[::50].double().numpy()
    true_pixels = np.stack([camera.project(points) for camera in cameras])
    model.cameras.values.data = start.clone()

    def error() -> np.ndarray:
        found = np.stack([camera.project(points) for camera in model.corrected_cameras()])
        return np.linalg.norm((found - true_pixels).mean(1), axis=-1)

    before = error()
    stage = Stage(resolution=120, weights={"mask": 1.0}, rates={"cameras": 0.1})
    optimizer = FitAdam([{"params": [model.cameras.values], "lr": 0.1}])
    pairs = [(frame, camera) for frame in range(2) for camera in range(5)]
    for batch in data.batches([pairs] * 25, framings_at(model.head_windows, stage.resolution)):
        optimizer.zero_grad()
        TERMS["mask"].loss(model.observe(batch, crop_blur=0.0), model, stage).backward()
        optimizer.step()
    assert before[1] > 0.3 and error()[1] < 0.35 * before[1]
    assert np.median(error()) < 0.15


def module_data(model, path):
    from headfit.capture.data import CaptureData

    return CaptureData(open_capture(path), model.classes, cache_bytes=1 << 28)


@pytest.mark.slow
def test_what_was_found_is_reported_and_written(capture_path, tmp_path):
    model = true_fit(FitConfig(texture_size=64), RunArgs(capture=str(capture_path))).model
    model.cameras.values.data[2, 3] = 2.0
    report_health(Run(tmp_path, model, RunArgs(capture=str(capture_path), out=str(tmp_path))))
    moved = [camera["corrected"] for camera in json.loads((tmp_path / HEALTH).read_text())["cameras"]]
    assert moved[2] == max(moved) > 0.2
    entries = json.loads((tmp_path / CAMERAS).read_text())
    written = [read_camera(entry) for entry in entries["cameras"]]
    for camera, expected in zip(written, model.corrected_cameras(), strict=True):
        np.testing.assert_allclose(camera.t, expected.t, atol=1e-12)
        np.testing.assert_allclose(camera.R, expected.R, atol=1e-12)


def test_a_local_camera_returns_to_the_world(capture_path):
    world = WorldFrame(np.array([4.5e6, 20.0, -3.0]), 0.01)
    for camera in open_capture(capture_path).cameras:
        back = world.world_camera(world.local_camera(camera))
        np.testing.assert_allclose(back.t, camera.t, atol=1e-8)


def test_a_held_out_camera_is_rendered_as_given(capture_path):
    summary = CaptureSummary.of(open_capture(capture_path))
    model = FittedHead.build(FitConfig(texture_size=64, hold_out=["cam03"]), summary)
    model.cameras.values.data.normal_()
    assert np.array_equal(model.corrected_cameras()[3].K, summary.cameras[3].K)
    np.testing.assert_allclose(model.corrected_cameras()[3].t, summary.cameras[3].t, atol=1e-12)
