"""A run folder without the time of a fit, with the events of a stage."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from headfit.fitting.config import FitConfig, RunArgs, Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import TENSORBOARD
from tests.support.made_run import write_run


def save_run(model: FittedHead, args: RunArgs) -> Path:
    """The run folder `args.out` with settings, checkpoint, and the events of one stage of three steps."""
    run = write_run(Path(args.out), model, args.capture)
    with SummaryWriter(str(run / TENSORBOARD)) as writer:
        for step in range(3):
            writer.add_scalar("loss/shape/mask", 0.5 - 0.1 * step, step, walltime=100.0 + step)
    return run


def stages(**rates: float) -> FitConfig:
    """Settings with one stage that moves `rates`."""
    return FitConfig(stages={"shape": Stage(steps=3, rates=dict(rates), weights={"mask": 1.0})}, texture_size=128)
