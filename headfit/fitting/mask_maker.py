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
from headfit.fitting.fit_masks import (
    FOLDER,
    MAX_VIEWS,
    MAX_VIEWS_TRACKED,
    NO_MASKS,
    FitMasks,
    given_capture,
    make_masks,
    masks_are_rough,
    reason_to_make_masks,
    with_fit_masks,
)
from headfit.fitting.module import HeadFit
from headfit.fitting.windows import INDEPENDENT
from headfit.segmentation.labels import labels_by_fit

#: A reason to make masks, which only the fit finds out.
ROUGHER = "the masks are rough: lips by the colours agree better with the head"


class MaskMaker(Callback):
    """Makes the masks of frames before a stage that asks for it, each window of it; the fit uses them from then on.

    They are files of the run folder, which a resumed fit reads. Must stand before the guard, which measures a stage
    against the masks that it is given.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._found: list[str | None] = []  # why masks are made: every window asks, and to find out takes a while

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        chunk = fit.chunk
        if fit.stage.make_masks and not chunk.repeat and chunk.first == chunk.window_first:
            self._make(trainer, fit)
        if isinstance(fit.data.capture, FitMasks):
            so_far = fit.plan.chunks[: trainer.current_epoch + 1]
            windows = (made.frames for made in so_far if fit.plan.stages[made.stage].make_masks)
            fit.data.capture.made_frames = set(fit.plan.key).union(*windows)

    def _make(self, trainer: pl.Trainer, fit: HeadFit) -> None:
        """Make the masks of the frames of the current chunk, if the fit makes any."""
        model, capture, chunk = fit.model, given_capture(fit.data.capture), fit.chunk
        # What an independent window knows of itself, `visited` says later.
        fitted = model.visited_frames if chunk.known is None else set(chunk.frames).difference(chunk.new)
        frames = sorted(fitted.intersection(chunk.frames))
        tracked = fit.stage.frames in ("windows", *INDEPENDENT)
        known = model.capture.made_masks
        self._found = self._found or [reason_to_make_masks(model, capture)]
        (reason,) = self._found
        # Of key frames only: tracked ones, which several processes may share, gain too little by it.
        if not (reason or known or tracked):
            rough = trainer.is_global_zero and masks_are_rough(model, capture, frames)
            reason = ROUGHER if trainer.strategy.broadcast(rough) else None
        if not reason:
            return
        made = (0, False)
        if trainer.is_global_zero:
            most = MAX_VIEWS_TRACKED * len(frames) if tracked else MAX_VIEWS
            need = reason != NO_MASKS
            made = make_masks(model, capture, frames, self.run, most=most, need_given=need, cut_outline=not tracked)
        count, shows_hair = trainer.strategy.broadcast(made)  # the other processes wait here
        if known:
            fit.data.replace(fit.data.capture, model.classes)  # without what it remembers of views
            return
        if count:
            # Which of a take's frames this process sees must not matter.
            has_hair = bool(model.hair_started) and reason != NO_MASKS if tracked else shows_hair
            _use(fit, labels_by_fit(capture.label_names, has_hair), self.run)
            if trainer.is_global_zero:
                tqdm.write(f"headfit: {reason}: made {count} by the fit, in {self.run / FOLDER}", file=sys.stderr)
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
    fit.data.replace(with_fit_masks(given_capture(fit.data.capture), fit.model, run), fit.model.classes)


def _leave_out_hair_without_masks(fit: HeadFit) -> None:
    """Plan no stage for hair, which might have been found, once it is known that there is none."""
    if not fit.model.has_hair:
        for name, stage in fit.plan.stages.items():
            if stage.moves_only("hair"):
                fit.plan.leave_out(name)
