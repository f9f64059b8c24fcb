"""A run folder without the time of a fit: the true parameters of a synthetic capture, saved as a fit saves its own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from headfit.fitting.checkpoints import keep_checkpoint
from headfit.fitting.config import FitConfig, RunArgs, Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import PREFIX, TENSORBOARD
from headfit.fitting.settings import save_settings


def save_run(model: FittedHead, args: RunArgs) -> Path:
    """The run folder `args.out` with settings, checkpoint, and the events of one stage of three steps."""
    run = Path(args.out)
    run.mkdir()
    save_settings(model.config, args, run)
    state = {f"{PREFIX}{name}": value for name, value in model.state_dict().items()}
    checkpoint = {"global_step": 3, "state_dict": state, **model.identification()}
    keep_checkpoint(run, lambda path: torch.save(checkpoint, path))
    with SummaryWriter(str(run / TENSORBOARD)) as writer:
        for step in range(3):
            writer.add_scalar("loss/shape/mask", 0.5 - 0.1 * step, step, walltime=100.0 + step)
    return run


def stages(**rates: float) -> FitConfig:
    """Settings with one stage that moves `rates`."""
    return FitConfig(stages={"shape": Stage(steps=3, rates=dict(rates), weights={"mask": 1.0})}, texture_size=128)
