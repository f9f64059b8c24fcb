"""No stage may leave the face worse than it found it: one that does is done again with smaller steps, or undone."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from headfit.fitting.callbacks import fit_of, writer_of
from headfit.fitting.face_evidence import FaceEvidence
from headfit.fitting.harm import IOU, Harm, worst_change
from headfit.fitting.module import HeadFit
from headfit.fitting.rows import copy_of
from headfit.fitting.windows import INDEPENDENT, TRACKED

#: Entry of a checkpoint.
KEY = "guard"
#: How often a stage is repeated at most.
MAX_REPEATS = 2
#: Extent of harm up to which the least harmful attempt is kept: what the stage brought elsewhere may be worth it.
#: Beyond, a part of the face is lost, and later stages seldom find it again.
MAX_KEPT = 2.0


class Guard(Callback):
    """Judges every stage by `FaceEvidence` when it ends.

    After a stage that harmed the face, the state from its start is restored, and the plan gets the stage once more,
    with half the learning rates. After the last repeat the least harmful attempt is kept, or, where even that one
    harmed the face by more than `MAX_KEPT`, the stage is undone: what follows starts from what it started from.
    Not so one of independent windows. Must stand before the callback that keeps checkpoints.

    What it remembers is in the checkpoint, so a resumed fit takes the same decisions.

    harmful: what the attempts that harmed the face did, in order.
    """

    def __init__(self) -> None:
        self.harmful: list[Harm] = []
        self._start: dict[str, Any] = {}  # model and figures at the start of the stage, and by which masks
        self._best: dict[str, Any] = {}  # those after the least harmful of its attempts so far
        self._evidence: FaceEvidence | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        made_masks = fit.model.capture.made_masks
        # The figures before a stage mean nothing where it has other masks.
        if not self._start or self._start.get("made_masks", made_masks) != made_masks:
            self._start = _snapshot(fit, self._measure(trainer, fit))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = fit_of(pl_module)
        chunk = fit.chunk
        if not chunk.ends_stage:
            return
        attempt = _snapshot(fit, self._measure(trainer, fit))
        if self._extent(attempt) > 1:
            if not self._best or self._extent(attempt) < self._extent(self._best):
                self._best = attempt
            again = chunk.repeat < MAX_REPEATS
            # The first of the independent stages also places its frames: the next one starts from there.
            can_be_undone = fit.model.config.stages[chunk.stage].frames not in INDEPENDENT
            undone = not again and can_be_undone and self._extent(self._best) > MAX_KEPT
            self._note(trainer, chunk.stage, attempt if again else self._best, again, undone)
            if again:
                fit.model.load_state_dict(self._start["model"])
                _repeat(trainer, fit, chunk.stage)
                return
            attempt = self._start if undone else self._best
            fit.model.load_state_dict(attempt["model"])
        self._start, self._best = attempt, {}

    def _extent(self, attempt: dict[str, Any]) -> float:
        return worst_change(self._start["figures"], attempt["figures"])[1]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = {
            "harmful": [asdict(harm) for harm in self.harmful],
            "start": self._start,
            "best": self._best,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        kept = checkpoint.get(KEY)
        if kept is None:  # made by an earlier version: the stage is judged from here on
            return
        self.harmful = [Harm(**harm) for harm in kept["harmful"]]
        self._start, self._best = _copied(kept["start"]), _copied(kept["best"])
        for harm in self.harmful:
            if harm.repeated:
                _repeat(trainer, fit_of(pl_module), harm.stage)

    def _measure(self, trainer: pl.Trainer, fit: HeadFit) -> dict[str, float]:
        """The figures of the model, which are also written to TensorBoard."""
        if self._evidence is None:
            self._evidence = FaceEvidence(fit.model, fit.data, fit.plan)
        figures = self._evidence.measure()
        if fit.model.capture.made_masks and fit.stage.make_masks and fit.stage.frames in TRACKED:
            # Each window gets masks when it begins: what they show before and after the stage does not compare.
            figures = {name: value for name, value in figures.items() if not name.endswith(IOU)}
        if trainer.is_global_zero:
            for name, value in figures.items():
                writer_of(trainer).add_scalar(f"face/{name}", value, max(0, trainer.global_step - 1))
        return figures

    def _note(self, trainer: pl.Trainer, stage: str, attempt: dict[str, Any], again: bool, undone: bool) -> None:
        """Remember and say what an attempt harmed; again: the stage is repeated, else this attempt is kept, unless the
        stage is undone."""
        before, after = self._start["figures"], attempt["figures"]
        figure, extent = worst_change(before, after)
        harm = Harm(stage, figure, before[figure], after[figure], extent, again, undone)
        self.harmful.append(harm)
        if trainer.is_global_zero:
            tqdm.write(f"headfit: {harm}", file=sys.stderr)
            writer_of(trainer).add_text("face", str(harm), trainer.global_step - 1)


def _snapshot(fit: HeadFit, figures: dict[str, float]) -> dict[str, Any]:
    made_masks = fit.model.capture.made_masks
    return _copied({"figures": figures, "made_masks": made_masks, "model": fit.model.state_dict()})


def _copied(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot, or none, whose large tables are in files: a long take would fill the memory otherwise."""
    if not snapshot:
        return {}
    return {**snapshot, "model": {name: copy_of(value) for name, value in snapshot["model"].items()}}


def _repeat(trainer: pl.Trainer, fit: HeadFit, stage: str) -> None:
    """Have the stage done once more, before those that follow it."""
    fit.plan.repeat(stage)
    trainer.fit_loop.max_epochs = len(fit.plan.chunks)
