"""Callbacks of a fit: progress, checkpoints, interruption, pictures."""

from __future__ import annotations

import signal
import threading
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from headfit.fitting.checkpoints import CHECKPOINT, keep_checkpoint
from headfit.fitting.lock import RunLock
from headfit.fitting.module import HeadFit
from headfit.fitting.pictures import overview, view_rows, view_sheets, write_picture
from headfit.fitting.summaries import describe_run
from headfit.fitting.windows import INDEPENDENT
from headfit.interruption import SIGNALS, Interrupted, raise_if_asked


class StageProgress(Callback):
    """A progress bar for the whole fit, with the stage's name, steps per second, and the latest losses."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar = tqdm(
            total=fit_of(pl_module).plan.steps,
            initial=trainer.global_step,
            unit="step",
            dynamic_ncols=True,
            smoothing=0.05,
            disable=not trainer.is_global_zero,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        fit = fit_of(pl_module)
        if self._bar is not None:
            self._bar.total = fit.plan.steps  # more once a stage is repeated
            self._bar.set_description(f"fit: {fit.chunk.stage}", refresh=False)
            self._bar.set_postfix({k: f"{v:.3g}" for k, v in fit.latest.items()}, refresh=False)
            self._bar.update(1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class WholeFileIO(TorchCheckpointIO):
    """Lightning's checkpoints, written to the file itself: no temporary file on another disk, and no error is lost."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises OSError, which names the file."""
        try:
            with open(path, "wb") as file:
                written = _Written(file)
                torch.save(checkpoint, written)  # type: ignore[arg-type]
                if written.error:
                    raise written.error
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


class _Written:
    """A file that keeps its first error, which torch would turn into one that does not say what is wrong."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            if self.error is None:
                self._file.write(content)
        except OSError as error:
            self.error = error
        return len(content)

    def flush(self) -> None:
        if self.error is None:
            self._file.flush()


class KeepLast(Callback):
    """A checkpoint after every chunk of steps: see `keep_checkpoint`. `step`: the steps that the last one holds."""

    def __init__(self, run: Path, step: int) -> None:
        self.run = run
        self.step = step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        save = partial(trainer.save_checkpoint, weights_only=False)
        if trainer.is_global_zero:
            keep_checkpoint(self.run, save)
        else:
            save(self.run / CHECKPOINT)  # writes nothing, but the first process waits for it
        self.step = trainer.global_step


class StopWhenAsked(Callback):
    """Ends a fit at once when the process is asked to stop, or has lost its run folder to another one.

    Lightning would finish the step after SIGTERM and exit with status 0; so the handlers that were there before it are
    restored, after its processes have been notified.
    """

    def __init__(self, lock: RunLock | None) -> None:
        self.lock = lock
        self._handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread() and callable(self._handlers[signal.SIGTERM]):
            for signum, handler in self._handlers.items():
                signal.signal(signum, handler)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        raise_if_asked()
        if self.lock is not None:
            self.lock.require_held()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        launcher = trainer.strategy.launcher
        if isinstance(exception, Interrupted) and launcher is not None:
            launcher.kill(signal.SIGTERM)


class Pictures(Callback):
    """Target, render, label borders and error map of fixed views, and the texture, to TensorBoard and `pictures/`.

    TensorBoard has one sheet, so that its slider goes through the fit; `pictures/` has more cameras of each frame.
    Drawn every `every` steps and at the end of every stage, except of stages in windows, which a later stage refines.
    """

    def __init__(self, run: Path, every: int) -> None:
        self.folder = run / "pictures"
        self.every = every
        self._last = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        step = trainer.global_step
        end_of_stage = fit.chunk.ends_stage and fit.stage.frames not in ("windows", *INDEPENDENT)
        if not trainer.is_global_zero or not (end_of_stage or step - self._last >= self.every):
            return
        self._last = step
        rows = list(view_rows(fit.model, fit.data.capture))
        texture = {"texture": fit.model.texture_image()} if fit.model.has_texture else {}
        for name, image in {"views": overview(rows), **texture}.items():
            # The step that was done last: the next one is the first that a resumed run logs again.
            writer_of(trainer).add_image(name, image, step - 1, dataformats="HWC")
        if end_of_stage:
            sheets = {f"views/{frame}": sheet for frame, sheet in view_sheets(rows).items()}
            for name, image in (sheets | texture).items():
                write_picture(self.folder / fit.chunk.stage / f"{name}.png", image)


class DescribeRun(Callback):
    """Layout of the charts and settings, to TensorBoard, when a run begins; a resumed one has them."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and trainer.global_step == 0:
            fit = fit_of(pl_module)
            describe_run(writer_of(trainer), fit.model.config, fit.plan, fit.terms)


def writer_of(trainer: pl.Trainer) -> SummaryWriter:
    """The writer of the run's TensorBoard events."""
    assert isinstance(trainer.logger, TensorBoardLogger)
    return trainer.logger.experiment


def fit_of(pl_module: pl.LightningModule) -> HeadFit:
    """The module that a fit trains."""
    assert isinstance(pl_module, HeadFit)
    return pl_module
