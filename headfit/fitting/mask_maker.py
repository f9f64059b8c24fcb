"""When a fit makes masks of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from headfit.capture.source import CaptureSource
from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.fitting.callbacks import fit_of
from headfit.fitting.fit_masks import (
    FOLDER,
    NO_MASKS,
    FitMasks,
    can_be_made,
    given_capture,
    key_views,
    make_masks,
    masks_are_rough,
    reason_to_make_masks,
    with_fit_masks,
)
from headfit.fitting.model import FittedHead
from headfit.fitting.module import HeadFit
from headfit.fitting.windows import TRACKED
from headfit.segmentation.labels import labels_by_fit

#: A reason to make masks, which only the fit finds out.
ROUGHER = "the masks are rough: lips by the colours agree better with the head"


class MaskMaker(Callback):
    """Makes the masks of frames before a stage that asks for it, of tracked frames before each window of it; the fit
    uses them from then on.

    They are files of the run folder, which a resumed fit reads. Must stand before the guard, which measures a stage
    against the masks that it is given.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._windows_have: tuple[str | None] | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        chunk, stages = fit.chunk, fit.plan.stages
        if fit.stage.make_masks and not chunk.repeat and chunk.first == chunk.window_first:
            if fit.stage.frames in TRACKED:
                self._make_of_window(trainer, fit)
            elif not fit.model.capture.made_masks:
                self._make_of_person(trainer, fit)
        if isinstance(fit.data.capture, FitMasks):
            so_far = [
                made.frames for made in fit.plan.chunks[: trainer.current_epoch + 1] if stages[made.stage].make_masks
            ]
            by_person = any(stage.make_masks and stage.frames not in TRACKED for stage in stages.values())
            fit.data.capture.made_frames = set(fit.plan.key if by_person else ()).union(*so_far)

    def _make_of_person(self, trainer: pl.Trainer, fit: HeadFit) -> None:
        """Make the masks of the frames that the person is fitted to, if the given ones are worse."""
        model, capture = fit.model, fit.data.capture
        frames = sorted(model.visited_frames.intersection(fit.chunk.frames))
        reason = reason_to_make_masks(model, capture)
        if not reason:
            rough = trainer.is_global_zero and masks_are_rough(model, capture, frames)
            reason = ROUGHER if trainer.strategy.broadcast(rough) else None
        if not reason:
            return
        made = (0, False)
        if trainer.is_global_zero:
            views = key_views(model, capture, frames, need_given=reason != NO_MASKS)
            made = make_masks(model, capture, views, self.run)
        count, shows_hair = trainer.strategy.broadcast(made)  # the other processes wait here
        if count:
            # A plan that knew of hair only now would have no stage for it.
            has_hair = shows_hair and (reason != ROUGHER or model.has_hair)
            _use(fit, labels_by_fit(capture.label_names, has_hair), self.run)
            if trainer.is_global_zero:
                tqdm.write(f"headfit: {reason}: made {count} by the fit, in {self.run / FOLDER}", file=sys.stderr)
        _leave_out_hair_without_masks(fit)
        trainer.fit_loop.max_epochs = len(fit.plan.chunks)

    def _make_of_window(self, trainer: pl.Trainer, fit: HeadFit) -> None:
        """Make the masks of the views that the steps of a window draw, where the given ones show no lips or are called
        rough. Nothing here depends on which of a take's windows this process fits."""
        model, capture, chunk = fit.model, given_capture(fit.data.capture), fit.chunk
        reason = self._reason_of_windows(model, capture)
        if not reason:
            return
        if not model.capture.made_masks:
            _use(fit, labels_by_fit(capture.label_names, bool(model.hair_started) and reason != NO_MASKS), self.run)
            if trainer.is_global_zero:
                tqdm.write(f"headfit: {reason}: the fit makes some, in {self.run / FOLDER}", file=sys.stderr)
        if trainer.is_global_zero:
            steps = range(chunk.draw_number(chunk.first), chunk.draw_number(chunk.first + chunk.window_steps))
            sizes, sample = (fit.stage.frames_per_step, fit.stage.views_per_frame), fit.data.sampler.sample_views
            drawn = {view for step in steps for view in sample(step, *sizes, chunk.frames)}
            views = [(camera, frame) for frame, camera in sorted(drawn)]
            views = [view for view in views if can_be_made(capture, *view, need_given=reason != NO_MASKS)]
            make_masks(model, capture, views, self.run, cut_outline=False)
        trainer.strategy.barrier()
        fit.data.replace(fit.data.capture, model.classes)  # without what it remembers of views

    def _reason_of_windows(self, model: FittedHead, capture: CaptureSource) -> str | None:
        """`reason_to_make_masks`, found out once: that takes a while, and every window asks."""
        if self._windows_have is None:
            self._windows_have = (reason_to_make_masks(model, capture),)
        return self._windows_have[0]

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
