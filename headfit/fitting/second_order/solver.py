"""Gauss-Newton steps of single frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.errors import HeadfitError
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.parallel import all_reduce_sum
from headfit.fitting.second_order.borders import (
    BELOW_NECK,
    INSIDE_SAMPLES,
    OUTLINE_SAMPLES,
    border_residuals,
    sample_borders,
)
from headfit.fitting.second_order.colours import colour_residuals
from headfit.fitting.second_order.frame_threads import every_other_first, on_threads
from headfit.fitting.second_order.motion import VertexMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.points import dense_landmark_residuals, landmark_residuals, temporal_residuals
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import Columns
from headfit.fitting.terms import TERMS
from headfit.fitting.terms.dense_landmark import dense_landmark_weights
from headfit.fitting.terms.expression import OUTSIDE
from headfit.fitting.terms.landmark import landmark_weights
from headfit.raster import backend

#: The data terms that have residuals.
DATA_TERMS = ("mask", "photometric", "landmark", "dense_landmark", "temporal")
#: Seeds of random generators are below it.
MAX_SEED = 2**63
#: Terms that are a mean over points, by the weights that these give.
POINT_WEIGHTS = {"landmark": landmark_weights, "dense_landmark": dense_landmark_weights}


class GaussNewton:
    """Moves the frames of a batch of views to the minimum of the stage's loss, one linearisation at a time.

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
        motion = VertexMotion(self.model.geometry, columns)
        here = {frame for frame, _ in batch.pairs}

        @torch.no_grad()  # each thread has its own mode
        def move(frame: int) -> Tensor:
            o = self.model.observe(batch.of_frame(frame), crop_blur=0.0) if frame in here else None
            seed = (self.seed * 1_000_003 + number) * len(views) + frame
            generator = torch.Generator().manual_seed(seed % MAX_SEED)
            found = self._residuals(o, names, stage, views[frame], generator)
            self._move(torch.tensor(frame, device=views.device), PointResiduals.cat(found), columns, motion, stage)
            return torch.stack([part.cost() / stage.weights[name] for name, part in zip(names, found, strict=True)])

        frames = views.nonzero()[:, 0].tolist()
        # A GPU's own threads are busy with one frame; processes have to add up their shares of the same frame.
        in_turn = backend.is_asynchronous(self.model.device) or dist.is_initialized()
        costs = [move(frame) for frame in every_other_first(frames)] if in_turn else on_threads(move, frames)
        return dict(zip(names, torch.stack(costs).mean(0), strict=True))

    def _move(
        self, frame: Tensor, residuals: PointResiduals, columns: Columns, motion: VertexMotion, stage: Stage
    ) -> None:
        """Move a frame `[]` to the minimum of the linearised residuals of all processes, and of its priors."""
        geometry = self.model.geometry
        values = columns.values(geometry, frame)
        equations = NormalEquations.of(residuals, motion(frame))
        equations = NormalEquations(all_reduce_sum(equations.matrix), all_reduce_sum(equations.gradient))
        add_priors(equations, columns, values, stage, self.model.head.expression_lowest, geometry.joint_prior)
        lowest = torch.maximum(columns.lowest - values, -columns.longest)
        highest = torch.minimum(columns.highest - values, columns.longest)
        columns.store(geometry, frame, values + equations.solve(lowest, highest).to(values))

    def _residuals(
        self, o: Observation | None, names: Sequence[str], stage: Stage, views: Tensor, generator: torch.Generator
    ) -> list[PointResiduals]:
        """The residuals of some data terms, weighted so that their costs add up to the frame's loss.

        Args:
            o: this process's views of a frame; None where it has none.
            names: the terms.
            stage: their weights.
            views: `[]` number of views of the frame in all processes.
            generator: draws pixels.
        """
        found = []
        for name in names:
            weight = stage.weights[name]
            if name in POINT_WEIGHTS:
                trust = POINT_WEIGHTS[name](o, self.model, stage).sum() if o else views.new_zeros(())
                factor = weight / all_reduce_sum(trust).clamp_min(1.0)
            else:
                factor = weight / views
            if o is None:
                found.append(PointResiduals.none(self.model.device))
            elif name == "mask":
                found.append(self._borders(o, stage.blur, generator).times(factor))
            elif name == "photometric":
                found.append(colour_residuals(o, self.model, generator).times(factor))
            elif name == "landmark":
                found.append(landmark_residuals(o, self.model, stage).times(factor))
            elif name == "dense_landmark":
                found.append(dense_landmark_residuals(o, self.model, stage).times(factor))
            else:
                found.append(temporal_residuals(o, self.model).times(factor * len(o.v_views)))
        return found

    def _borders(self, o: Observation, blur: float, generator: torch.Generator) -> PointResiduals:
        model = self.model
        label = self._rendered_labels(o)
        counts = (OUTLINE_SAMPLES, INSIDE_SAMPLES)
        samples = sample_borders(label, o.fragments.depth, o.mask_known, counts, generator)
        faces, inner = model.renderer.head_faces, model.is_inner
        return border_residuals(o, faces, samples, label, model.class_weight, inner, model.area_by_trust(o), blur)

    def _rendered_labels(self, o: Observation) -> Tensor:
        """Class `[B,H,W]` (int8) of each rendered pixel: 0 background, -1 what is not compared, or `BELOW_NECK`."""
        renderer = self.model.renderer
        of_face = self.model.class_of_label[renderer.face_labels]
        below_neck = of_face.new_full((len(renderer.faces) - renderer.face_count,), BELOW_NECK)
        of_index = torch.cat([of_face.new_zeros(1), of_face, below_neck])  # index -1 + 1: background
        as_shown = o.as_shown(of_index.expand(len(o.shown_as), 1, -1))[:, 0].to(torch.int8)
        index = o.fragments.index_img
        return as_shown.gather(1, (index + 1).long().flatten(1)).view_as(index)


def add_priors(
    equations: NormalEquations, columns: Columns, values: Tensor, stage: Stage, lowest: Tensor, joint_prior: Tensor
) -> None:
    """Add the costs of `expression_prior`, of the joints and of the detail.

    Args:
        equations: of a frame; changed in place.
        columns: its unknowns.
        values: `[P]` what they are.
        stage: weights of the priors.
        lowest: `[E]` lowest values of the expression units.
        joint_prior: `[J,6]` weights of the joints' values.
    """
    for name, of_group in columns.parameter.items():
        row = values[of_group]
        if name == "expression":
            weight = 2 * stage.weights.get("expression", 0.0)
            outside = row - row.clamp(lowest, torch.ones_like(lowest))
            curvature = weight * (1 + OUTSIDE * (outside != 0).to(row))
            equations.add_diagonal(of_group, curvature, weight * (row + OUTSIDE * outside))
        elif name == "joints_scaled":
            curvature = 2 * stage.weights.get("joints", 0.0) * joint_prior.flatten()
            equations.add_diagonal(of_group, curvature, curvature * row)
        elif name == "detail_mm":
            weight = 2 * stage.weights.get("detail", 0.0)
            equations.add_diagonal(of_group, torch.full_like(row, weight), weight * row)
