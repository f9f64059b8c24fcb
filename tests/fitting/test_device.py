"""A whole fit on a pretended GPU: no tensor stays behind on the CPU, and the numbers are those of the CPU, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from headfit.capture import open_capture
from headfit.capture.summary import CaptureSummary
from headfit.evaluate.health import examine
from headfit.export import export_meshes, render_pictures
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import RunArgs
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.model import FittedHead
from headfit.fitting.pictures import view_sheet
from headfit.fitting.run import fit
from headfit.fitting.run_folder import Run, load_run
from headfit.fitting.settings import load_config
from headfit.fitting.warm_start import inherit_settings, load_person
from headfit.synth import synthesize
from tests.support.pretended_device import DEVICE, DeviceTensor
from tests.support.pretended_trainer import TRAINER, pretended_gpu

#: Every kind of stage: blurred and sharp masks, colours, windows, the temporal term.
SETTINGS = """
texture_size: 64
key_frames: 2
steps_per_checkpoint: 2
steps_per_picture: 100
hold_out: [cam01]
stages:
  blurred:
    {frames: key, steps: 2, resolution: 64, views_per_frame: 2, blur: 2.0,
     rates: {rotation: 0.01, translation: 0.002, scale: 0.01, expression: 0.01, joints: 0.01},
     weights: {mask: 1, landmark: 1000, expression: 1.0e-3, joints: 1.0e-3}}
  sharp:
    {frames: key, steps: 2, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.01, translation: 0.002, identity: 0.03, placement: 0.005, offsets: 0.0002},
     weights: {mask: 1, landmark: 1000, identity: 2.0e-3, placement: 1.0e-3, offsets: 1.0e+3}}
  photo:
    {frames: key, steps: 4, resolution: 80, views_per_frame: 2,
     rates: {translation: 0.0002, identity: 0.03, expression: 0.01, joints: 0.01, placement: 0.005, offsets: 0.0002,
             texture: 0.01, light: 0.005, gloss: 0.005, gain: 0.002},
     weights: {mask: 1, photometric: 0.5, identity: 2.0e-3, expression: 1.0e-3, offsets: 1.0e+3}}
  windows:
    {frames: windows, steps: 2, frames_per_step: 1, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.01, translation: 0.002, expression: 0.01, joints: 0.01},
     weights: {mask: 1, photometric: 0.5, landmark: 1000, expression: 1.0e-3}}
  temporal:
    {frames: each, steps: 1, frames_per_step: 1, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.002, translation: 0.0002, expression: 0.01, detail: 0.1, offsets: 0.0002},
     weights: {mask: 1, photometric: 0.5, temporal: 0.01, detail: 0.1, expression: 1.0e-3, offsets: 1.0e+3}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    (folder / "settings.yaml").write_text(SETTINGS)
    synthesize(folder / "capture", cameras=3, frames=3, width=60, height=80, seed=1)
    return folder


@pytest.fixture(scope="module")
def on_cpu(folder: Path) -> Run:
    """The fit as it is on the CPU."""
    return run_fit(folder, "cpu", {"accelerator": "cpu", "devices": 1})


def run_fit(folder: Path, name: str, trainer: dict, resume: bool = False, **options) -> Run:
    args = RunArgs(capture=str(folder / "capture"), out=str(folder / name), trainer=trainer, resume=resume)
    return fit(load_config(folder / "settings.yaml"), args, **options)


class Waits(pl.Callback):
    """How often the last step of each stage would have waited for the GPU, and what for."""

    def __init__(self, device) -> None:
        self.device = device
        self.of_stage: dict[str, dict[str, int]] = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        assert isinstance(batch.image, DeviceTensor)
        self.device.reset()

    def on_before_zero_grad(self, trainer, pl_module, optimizer) -> None:
        self.of_stage[pl_module.chunk.stage] = dict(self.device.waits)


def state(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / CHECKPOINT, weights_only=False)["state_dict"]


def test_spike(folder, on_cpu):
    with pretended_gpu() as device:
        waits = Waits(device)
        run_fit(folder, "gpu", TRAINER, callbacks=[waits])
    for stage, places in waits.of_stage.items():
        print(stage, sum(places.values()), places)
    one, two = state(on_cpu.path), state(folder / "gpu")
    assert [name for name in one if not torch.equal(one[name], two[name])] == []
