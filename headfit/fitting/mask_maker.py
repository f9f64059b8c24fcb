"""When a fit makes masks of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.fitting.callbacks import fit_of
from headfit.fitting.fit_masks import FOLDER, make_masks, reason_to_make_masks, with_fit_masks
from headfit.fitting.module import HeadFit


class MaskMaker(Callback):
    """Makes the masks of a capture once, before the first stage that asks for it; the fit uses them from then on.

    They are files of the run folder, which a resumed fit reads. Must stand before the guard, which measures a stage
    against the masks that it is given.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        model, capture, chunk = fit.model, fit.data.capture, fit.chunk
        if not (chunk.starts_stage and chunk.repeat == 0 and fit.stage.make_masks) or model.capture.made_masks:
            return
        reason = reason_to_make_masks(model, capture)
        if not reason:
            return
        frames = sorted(model.visited_frames.intersection(chunk.frames))
        made = make_masks(model, capture, frames, self.run) if trainer.is_global_zero else (0, {})
        count, label_names = trainer.strategy.broadcast(made)  # the other processes wait here
        if count and trainer.is_global_zero:
            tqdm.write(f"headfit: the masks {reason}: made {count} by the fit, in {self.run / FOLDER}", file=sys.stderr)
        if count:
            _use(fit, label_names, self.run)
        _leave_out_hair_without_masks(fit)
        trainer.fit_loop.max_epochs = len(fit.plan.chunks)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        fit = fit_of(pl_module)
        use_known_masks(fit, checkpoint, self.run)
        if fit.model.capture.made_masks:
            _leave_out_hair_without_masks(fit)
        trainer.fit_loop.max_epochs = len(fit.plan.chunks)


def use_known_masks(fit: HeadFit, checkpoint: Mapping[str, Any], run: Path) -> None:
    """Have a fit use the masks that the checkpoint of a run was fitted to.

    Raises HeadfitError where the run's own are gone, or the capture's have other labels than when the run began.
    """
    known = CaptureSummary.from_dict(checkpoint["capture"])
    if known.made_masks:
        if not (run / FOLDER).is_dir():
            raise HeadfitError(
                f"{run / FOLDER}: the masks that the run made are gone; restore them, or start a new run"
            )
        _use(fit, known.label_names, run)
    elif known.label_names != fit.model.capture.label_names:
        raise HeadfitError(
            f"capture {known.name}: its masks have other labels than when the run began. Restore them, or start a new "
            "run; with --init-from, it starts from this one's person."
        )


def _use(fit: HeadFit, label_names: Mapping[int, str], run: Path) -> None:
    fit.model.compare_with_labels(label_names, made_masks=True)
    fit.data.replace(with_fit_masks(fit.data.capture, fit.model, run), fit.model.classes)


def _leave_out_hair_without_masks(fit: HeadFit) -> None:
    """Plan no stage for hair, which might have been found, once it is known that there is none."""
    if not fit.model.has_hair:
        for name, stage in fit.plan.stages.items():
            if stage.moves_only("hair"):
                fit.plan.leave_out(name)
