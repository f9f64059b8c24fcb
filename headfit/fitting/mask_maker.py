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
from headfit.fitting.fit_masks import FOLDER, are_rough, can_make_masks, fit_masks, has_made_masks, make_masks
from headfit.fitting.module import HeadFit


class MaskMaker(Callback):
    """Makes the masks of a capture before the first stage that asks for it, and has the fit use them from then on.

    They are files of the run folder, which a resumed fit reads. Must stand before the guard, which measures a stage
    against the masks that it is given.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        if not (fit.chunk.starts_stage and fit.chunk.repeat == 0 and fit.stage.make_masks):
            return
        model, capture = fit.model, fit.data.capture
        frames = sorted(model.visited_frames.intersection(fit.chunk.frames))
        if not (can_make_masks(model, capture) or are_rough(model, capture, frames)):
            return
        if trainer.is_global_zero:
            count = make_masks(model, capture, frames, self.run)
            why = "are rough" if model.masks_show_lips else "tell no lips"
            tqdm.write(f"headfit: the masks {why}: made {count} by the fit, in {self.run / FOLDER}", file=sys.stderr)
        trainer.strategy.barrier("masks")
        fit.use_masks(fit_masks(capture, self.run))

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        use_known_masks(fit_of(pl_module), checkpoint, self.run)


def use_known_masks(fit: HeadFit, checkpoint: Mapping[str, Any], run: Path) -> None:
    """Have a fit use the masks that the checkpoint of a run was fitted to.

    Raises HeadfitError where the capture's masks have other labels than when that run began.
    """
    known = CaptureSummary.from_dict(checkpoint["capture"])
    if has_made_masks(known, run):
        fit.use_masks(fit_masks(fit.data.capture, run))
    elif known.label_names != fit.model.capture.label_names:
        raise HeadfitError(
            f"capture {known.name}: its masks have other labels than when the run began. Restore them, or start a new "
            "run; with --init-from, it starts from this one's person."
        )
