"""Gauss-Newton steps of frames, one by one or together with the person that they share."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.errors import HeadfitError
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.parallel import all_reduce_sum
from headfit.fitting.second_order.frame_steps import FrameSteps
from headfit.fitting.second_order.frame_threads import on_threads, one_by_one
from headfit.fitting.second_order.person import move_together
from headfit.fitting.second_order.unknowns import Columns
from headfit.fitting.terms import TERMS
from headfit.raster import backend

#: The data terms that have residuals.
DATA_TERMS = ("mask", "photometric", "landmark", "dense_landmark", "temporal")


class GaussNewton:
    """Moves the frames of a batch of views, and the person where a stage does, to the minimum of the stage's loss, one
    linearisation at a time.

    The cost of a frame is that of the loss terms of the same names, each with the weight that the stage gives it; terms
    of what these steps do not move have none. It holds nothing that a resumed fit would need.

    Args:
        model: what is fitted; its parameters are changed in place.
        seed: with the number of a step it determines which pixels are compared.
    """

    def __init__(self, model: FittedHead, seed: int) -> None:
        self.model = model
        self.seed = seed

    @torch.no_grad()
    def step(self, batch: ViewBatch, stage: Stage, number: int) -> dict[str, Tensor]:
        """Take a step; returns the cost of each data term before it, of this process's views.

        Args:
            batch: the views of a step: some frames, each in some cameras.
            stage: weights of the terms, and by its rates the longest step of each parameter.
            number: of the step in the fit.

        Raises:
            HeadfitError: none of the stage's terms applies to this capture and head model.
        """
        names = [name for name in DATA_TERMS if TERMS[name].applies(self.model, stage)]
        names = [name for name in names if name != "photometric" or self.model.has_texture]
        if not names:
            raise HeadfitError("solver gauss_newton: none of its loss terms applies to this capture and head model")
        views = all_reduce_sum(
            torch.bincount(batch.frame, minlength=len(self.model.visited)).to(self.model.device, torch.float32)
        )
        columns = Columns.of(self.model.geometry, stage.rates)
        of_frames = FrameSteps(self.model, batch, stage, names, views, columns, self.seed * 1_000_003 + number)
        frames = views.nonzero()[:, 0].tolist()
        # A GPU's own threads are busy with one frame; processes have to add up their shares of the same frame.
        in_turn = backend.is_asynchronous(self.model.device) or dist.is_initialized()
        each = one_by_one if in_turn else on_threads
        if columns.moves_person:
            found = each(of_frames.linearised, frames)
            equations = [of_frame.equations for of_frame in found]
            move_together(self.model.geometry, columns, frames, equations, stage)
            costs = [of_frame.costs for of_frame in found]
        else:
            costs = each(of_frames.move, frames)
        return dict(zip(names, torch.stack(costs).mean(0), strict=True))
