"""HeadFit: how a head is fitted, as a LightningModule. What is fitted is `FittedHead`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from headfit.capture.data import CaptureData
from headfit.capture.summary import CaptureSummary
from headfit.capture.views import ViewBatch
from headfit.errors import HeadfitError, some_of
from headfit.fitting.config import Stage
from headfit.fitting.groups import parameter_groups
from headfit.fitting.initialise_appearance import collect_hair_colours, initialise_appearance
from headfit.fitting.mask_trust import judge_masks
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.parallel import all_reduce_gradients, all_reduce_sum, broadcast_from_rank_zero
from headfit.fitting.schedule import Plan, PlannedChunk
from headfit.fitting.second_order.solver import GaussNewton
from headfit.fitting.terms import TERMS, Term
from headfit.fitting.terms.dense_landmark import dense_landmark_weights
from headfit.fitting.terms.landmark import landmark_weights
from headfit.raster import backend

#: Steps between two entries of the losses in the log, each of which costs a twentieth of a step. The last step of a
#: chunk is always an entry.
STEPS_PER_ENTRY = 10


class HeadFit(pl.LightningModule):
    """Optimises a `FittedHead` by the stages of a plan.

    Args:
        model: what is fitted; its parameters are optimised in place.
        data: serves the views; the module tells it what the next chunk of steps needs.
        plan: the stages, cut into chunks of steps.
        terms: the loss terms by name; a stage's weights choose among them.
    """

    def __init__(self, model: FittedHead, data: CaptureData, plan: Plan, terms: Mapping[str, Term] = TERMS) -> None:
        super().__init__()
        self.model = model
        self.data = data
        self.plan = plan
        self.terms = terms
        self.solver = GaussNewton(model, model.config.seed)
        self.latest: dict[str, float] = {}
        self._unread: list[Tensor] = []

    # ---- stages ------------------------------------------------------------------------------------------------

    @property
    def chunk(self) -> PlannedChunk:
        """The chunk of steps that the current epoch runs."""
        return self.plan.chunks[min(self.trainer.current_epoch, len(self.plan.chunks) - 1)]

    @property
    def stage(self) -> Stage:
        """The settings of the current stage."""
        return self.plan.stages[self.chunk.stage]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return FitAdam(parameter_groups(self.model))

    def train_dataloader(self) -> Any:
        """The views of the current chunk of steps; Lightning asks again for every epoch."""
        chunk = self.plan.data_chunk(self.chunk, self.model.head_windows)
        self.data.chunk = replace(chunk, rank=self.trainer.global_rank, processes=self.trainer.world_size)
        return self.data.train_dataloader()

    def on_train_start(self) -> None:
        broadcast_from_rank_zero(self.model)

    def on_train_epoch_start(self) -> None:
        model, optimizer = self.model, self.fit_optimizer
        # In independent windows, what is judged would depend on which of them this process fits.
        if self.chunk.starts_stage and self.chunk.known is None and self.stage.weights.get("mask"):
            self._judge_masks()
        if self.chunk.known is not None:
            model.visited.zero_()[list(self.chunk.known)] = True
        model.geometry.start_like_nearest(self.chunk.new, model.visited)
        model.visited[list(self.chunk.frames)] = True
        if self.chunk.starts_stage:
            optimizer.state.clear()
            if self.stage.rates.get("texture") and not model.has_texture:
                initialise_appearance(model, self.data, self.stage.resolution)
                model.texture_started.fill_(True)
                broadcast_from_rank_zero(model.appearance)
        if self.stage.rates.get("hair") and model.has_hair:
            collect_hair_colours(model, self.data, self.stage.resolution)
            model.hair_started.fill_(True)
            broadcast_from_rank_zero(model)
        for group in optimizer.param_groups:
            moves = self.stage.rates.get(group["name"], 0.0) > 0
            for parameter in group["params"]:
                parameter.requires_grad_(moves)

    def _judge_masks(self) -> None:
        """Find the masks that disagree with what the stages before have fitted, in the frames of this one."""
        frames = sorted(self.model.visited_frames.intersection(self.chunk.frames))
        count = judge_masks(self.model, self.data, frames)
        broadcast_from_rank_zero(self.model)
        if count and self.trainer.is_global_zero:
            tqdm.write(f"headfit: stage {self.chunk.stage}: {count} masks disagree with the rest and count less")

    # ---- one step ----------------------------------------------------------------------------------------------

    @property
    def fit_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser itself, without Lightning's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def training_step(self, batch: ViewBatch, batch_idx: int) -> Tensor:
        """Loss of one batch of views; every term is logged under `loss/`.

        Raises:
            HeadfitError: nothing to minimise in this stage, or the loss is not finite.
        """
        stage, chunk = self.stage, self.chunk
        decay, shorter = chunk.decay_factor(self.global_step, stage), chunk.repeat_factor
        second_order = stage.solver == "gauss_newton"
        for group in self.fit_optimizer.param_groups:
            group["lr"] = stage.rates.get(group["name"], 0.0) * shorter * (1.0 if second_order else decay)
        if second_order:
            longest = {group["name"]: group["lr"] for group in self.fit_optimizer.param_groups}
            return self._second_order_step(batch, replace(stage, blur=stage.blur * decay, rates=longest))
        values = self.losses(batch, stage)
        if not values:
            raise HeadfitError(
                f"stage {self.chunk.stage}: none of its loss terms applies to this capture and head model"
            )
        total = torch.stack([stage.weights[name] * value for name, value in values.items()]).sum()
        if not total.requires_grad:
            moved = ", ".join(name for name, rate in stage.rates.items() if rate > 0)
            raise HeadfitError(
                f"stage {self.chunk.stage}: its loss terms ({', '.join(values)}) do not depend on what moves ({moved})"
            )
        self._log(total, values)
        return total

    def losses(self, batch: ViewBatch, stage: Stage) -> dict[str, Tensor]:
        """The loss of every term that applies, without its weight: what this process's views add to that of the step.
        On a GPU, nothing in here waits for it."""
        o = self.model.observe(batch, crop_blur=stage.blur)
        share = self._shares(o, stage)
        return {
            name: term.loss(o, self.model, stage) * share[term.normalised_by]
            for name, term in self.terms.items()
            if term.applies(self.model, stage)
        }

    def _second_order_step(self, batch: ViewBatch, stage: Stage) -> Tensor:
        """Take a step of frames, and of the person where the stage moves it. The gradient of the loss that is returned
        is zero, and of one parameter only: `FitAdam` leaves those without one alone."""
        costs = self.solver.step(batch, stage, self.chunk.draw_number(self.global_step))
        total = torch.stack([stage.weights[name] * cost for name, cost in costs.items()]).sum()
        self._log(total, costs)
        smallest = min((p for p in self.model.geometry.parameters() if p.requires_grad), key=torch.Tensor.numel)
        return 0.0 * smallest.sum()

    def _shares(self, o: Observation, stage: Stage) -> dict[str, Tensor]:
        """What this process's mean over views, and over landmarks by weight, counts in the whole step."""
        views = o.head_area.new_full((), len(o.head_area))
        counts = {"views": views, "landmarks": landmark_weights(o, self.model, stage).sum()}
        if self.model.use_dense_landmarks:
            counts["dense_landmarks"] = dense_landmark_weights(o, self.model, stage).sum()
        own = torch.stack(list(counts.values()))
        share = own.clamp_min(1.0) / all_reduce_sum(own).clamp_min(1.0)
        return dict(zip(counts, share, strict=True))

    def _log(self, total: Tensor, values: dict[str, Tensor]) -> None:
        """Check that the losses of a step are finite, and every so often log them. On a GPU, which has to be waited
        for, they are checked only then, and so before every checkpoint."""
        self._unread.append(all_reduce_sum(torch.stack([total, *values.values()]).detach()))
        chunk, step = self.chunk, self.global_step
        is_entry = (step + 1) % STEPS_PER_ENTRY == 0 or step + 1 == chunk.first + chunk.steps
        if not is_entry and backend.is_asynchronous(total.device):
            return
        rows = torch.stack(self._unread).tolist()
        self._unread.clear()
        for at, row in enumerate(rows, start=step + 1 - len(rows)):
            self._require_finite(at, row, list(values))
        if not is_entry and step > chunk.first:  # a chunk's first step, too: the report counts steps from it
            return
        numbers = dict(zip(values, rows[-1][1:], strict=True))
        self.latest = {name: number for name, number in numbers.items() if self.terms[name].in_progress_bar}
        self.log_dict({f"loss/{chunk.stage}/{name}": number for name, number in numbers.items()})
        self.log("loss/total", rows[-1][0])
        groups = self.fit_optimizer.param_groups
        self.log_dict({f"rate/{group['name']}": group["lr"] for group in groups if group["lr"] > 0})

    def _require_finite(self, step: int, row: list[float], names: list[str]) -> None:
        """Raises HeadfitError where the total loss of a step is not finite; `row`: that, and the terms' losses."""
        if not math.isfinite(row[0]):
            bad = [name for name, number in zip(names, row[1:], strict=True) if not math.isfinite(number)]
            raise HeadfitError(
                f"step {step} (stage {self.chunk.stage}): loss {', '.join(bad) or 'sum'} is not finite; "
                "stopped, the last good checkpoint is kept. Lower the stage's rates or check the capture."
            )

    def on_after_backward(self) -> None:
        all_reduce_gradients(p for group in self.fit_optimizer.param_groups for p in group["params"])
        self.model.geometry.stop_held()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.model.geometry.clamp()  # after every step, the last one included

    # ---- checkpoints -------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint.update(self.model.identification(), planned_steps=self.plan.steps, skipped=self.data.skipped)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises HeadfitError where the checkpoint belongs to another head, or to a capture with other frames,
        cameras or calibrations: a resumed run must continue with the same numbers."""
        self.model.require_same_head(checkpoint)
        self.data.add_skipped(checkpoint.get("skipped", {}))
        known = CaptureSummary.from_dict(checkpoint["capture"])
        differences = known.differences(self.model.capture)
        if recalibrated := known.recalibrated(self.model.capture):
            differences.append(f"cameras {some_of(recalibrated)} have another calibration")
        if differences:
            raise HeadfitError(
                f"capture {self.model.capture.name} has changed since the run began: {'; '.join(differences)}. "
                "Restore it, or start a new run; with --init-from, it starts from this one's person."
            )
