"""Frames in a step: their residuals and normal equations, and the move of those that move alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.capture.views import ViewBatch
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
from headfit.fitting.second_order.motion import VertexMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.points import dense_landmark_residuals, landmark_residuals, temporal_residuals
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import Columns
from headfit.fitting.terms.dense_landmark import dense_landmark_weights
from headfit.fitting.terms.expression import OUTSIDE
from headfit.fitting.terms.landmark import landmark_weights

#: Seeds of random generators are below it.
MAX_SEED = 2**63
#: Terms that are a mean over points, by the weights that these give.
POINT_WEIGHTS = {"landmark": landmark_weights, "dense_landmark": dense_landmark_weights}


@dataclass(frozen=True)
class Linearised:
    """A frame where it is. costs `[T]`: of each data term in this process's views; equations: of the views of all
    processes, and of the frame's priors."""

    costs: Tensor
    equations: NormalEquations


class FrameSteps:
    """One step of each frame of a batch of views.

    Args:
        model: what is fitted; its parameters are changed in place.
        batch: this process's views.
        stage: weights of the terms, and by its rates the longest step of each parameter.
        names: the data terms.
        views: `[F]` number of views of each frame in all processes.
        columns: what moves.
        seed: determines, with the frame, which pixels are compared.
    """

    def __init__(
        self,
        model: FittedHead,
        batch: ViewBatch,
        stage: Stage,
        names: Sequence[str],
        views: Tensor,
        columns: Columns,
        seed: int,
    ) -> None:
        self.model, self.batch, self.stage, self.names = model, batch, stage, names
        self.views, self.columns, self.seed = views, columns, seed
        self._motion = VertexMotion(model.geometry, columns)
        self._here = {frame for frame, _ in batch.pairs}

    @torch.no_grad()  # each thread has its own mode
    def linearised(self, frame: int) -> Linearised:
        """A frame where it is."""
        geometry, index = self.model.geometry, torch.tensor(frame, device=self.views.device)
        o = self.model.observe(self.batch.of_frame(frame), crop_blur=0.0) if frame in self._here else None
        generator = torch.Generator().manual_seed((self.seed * len(self.views) + frame) % MAX_SEED)
        found = self._residuals(o, self.views[frame], generator)
        costs = [part.cost() / self.stage.weights[name] for name, part in zip(self.names, found, strict=True)]
        equations = NormalEquations.of(PointResiduals.cat(found), self._motion(index))
        equations = NormalEquations(all_reduce_sum(equations.matrix), all_reduce_sum(equations.gradient))
        values, lowest = self.columns.values(geometry, index), self.model.head.expression_lowest
        add_priors(equations, self.columns, values, self.stage, lowest, geometry.joint_prior)
        return Linearised(torch.stack(costs), equations)

    @torch.no_grad()
    def move(self, frame: int) -> Tensor:
        """Move a frame to the minimum of its equations; returns the costs `[T]` of its data terms before."""
        was, index = self.linearised(frame), torch.tensor(frame, device=self.views.device)
        values = self.columns.values(self.model.geometry, index)
        step = was.equations.solve(*self.columns.bounds(values))
        self.columns.store(self.model.geometry, index, values + step.to(values))
        return was.costs

    def _residuals(self, o: Observation | None, views: Tensor, generator: torch.Generator) -> list[PointResiduals]:
        """The residuals of some data terms, weighted so that their costs add up to the frame's loss.

        Args:
            o: this process's views of a frame; None where it has none.
            views: `[]` number of views of the frame in all processes.
            generator: draws pixels.
        """
        found, stage = [], self.stage
        for name in self.names:
            weight = stage.weights[name]
            if name in POINT_WEIGHTS:
                trust = POINT_WEIGHTS[name](o, self.model, stage).sum() if o else views.new_zeros(())
                factor = weight / all_reduce_sum(trust).clamp_min(1.0)
            else:
                factor = weight / views
            if o is None:
                found.append(PointResiduals.none(self.model.device))
            elif name == "mask":
                found.append(mask_residuals(o, self.model, stage.blur, generator).times(factor))
            elif name == "photometric":
                found.append(colour_residuals(o, self.model, generator).times(factor))
            elif name == "landmark":
                found.append(landmark_residuals(o, self.model, stage).times(factor))
            elif name == "dense_landmark":
                found.append(dense_landmark_residuals(o, self.model, stage).times(factor))
            else:
                found.append(temporal_residuals(o, self.model).times(factor * len(o.v_views)))
        return found


def mask_residuals(o: Observation, model: FittedHead, blur: float, generator: torch.Generator) -> PointResiduals:
    """Those of a random subset of the rendered borders of a frame's views; see `border_residuals`."""
    label = rendered_labels(o, model)
    counts = (OUTLINE_SAMPLES, INSIDE_SAMPLES)
    samples = sample_borders(label, o.fragments.depth, o.mask_known, counts, generator)
    faces, inner = model.renderer.head_faces, model.is_inner
    return border_residuals(o, faces, samples, label, model.class_weight, inner, model.area_by_trust(o), blur)


def rendered_labels(o: Observation, model: FittedHead) -> Tensor:
    """Class `[B,H,W]` (int8) of each rendered pixel: 0 background, -1 what is not compared, or `BELOW_NECK`."""
    renderer = model.renderer
    of_face = model.class_of_label[renderer.face_labels]
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
