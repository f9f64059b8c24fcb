"""A capture longer than its key frames: these are fitted first, the others in windows, then all together."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run import fit
from headfit.fitting.schedule import Plan
from headfit.fitting.settings import load_config
from headfit.head import load
from headfit.synth import synthesize

pytestmark = pytest.mark.slow

SETTINGS = """
key_frames: 2
texture_size: 64
steps_per_checkpoint: 2
steps_per_picture: 100
stages:
  person:
    frames: key
    steps: 4
    resolution: 64
    views_per_frame: 2
    rates: {translation: 0.0003, expression: 0.01, texture: 0.01}
    weights: {mask: 1, photometric: 1, temporal: 0.1}
  express:
    frames: windows
    solver: gauss_newton
    frames_per_step: 2
    steps: 2
    resolution: 64
    views_per_frame: 2
    rates: {translation: 0.01, expression: 0.1}
    weights: {mask: 1, temporal: 0.1}
  track:
    frames: each
    frames_per_step: 2
    steps: 2
    resolution: 64
    views_per_frame: 1
    rates: {expression: 0.01, offsets: 0.0001}
    weights: {mask: 1, temporal: 0.1}
"""


class StopAfterChunks(pl.Callback):
    """Ends a fit early."""

    def __init__(self, count: int) -> None:
        self.count = count

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.count


@pytest.fixture
def settings(small_head: Path, tmp_path: Path) -> tuple[FitConfig, RunArgs]:
    synthesize(tmp_path / "capture", cameras=3, frames=5, width=48, height=64, seed=2, head=load(small_head))
    (tmp_path / "long.yaml").write_text(f"head: {small_head}\n{SETTINGS}")
    args = RunArgs(capture=str(tmp_path / "capture"), out=str(tmp_path / "run"))
    return load_config(tmp_path / "long.yaml"), args


def test_every_frame_gets_its_turn_and_an_interrupted_run_resumes_to_the_same_numbers(settings):
    config, args = settings
    whole = fit(config, replace(args, out=args.out + "-whole"))
    model = whole.model
    plan = Plan(config.stages, config.steps_per_checkpoint, 5, config.key_frames)
    assert [c.stage for c in plan.chunks] == ["person"] * 2 + ["express"] * 2 + ["track"] * 3
    assert model.visited.all()
    assert model.geometry.expression.any(1).all(), "frames that are not key frames moved, too"

    half = fit(config, args, callbacks=[StopAfterChunks(3)])  # amid the windows
    assert half.model.visited.tolist() == [True, True, True, False, True]
    fit(config, replace(args, resume=True))
    states = [torch.load(Path(out) / CHECKPOINT, weights_only=False)["state_dict"] for out in (whole.path, args.out)]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
