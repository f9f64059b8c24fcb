"""Gauss-Newton steps of single frames."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.errors import HeadfitError
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.second_order.borders import (
    INNER,
    INSIDE_SAMPLES,
    OUTLINE_SAMPLES,
    border_residuals,
    sample_borders,
)
from headfit.fitting.second_order.colours import colour_residuals
from headfit.fitting.second_order.motion import VertexMotion
from headfit.fitting.second_order.normal_equations import NormalEquations
from headfit.fitting.second_order.points import landmark_residuals, temporal_residuals
from headfit.fitting.second_order.residuals import PointResiduals
from headfit.fitting.second_order.unknowns import Columns
from headfit.fitting.terms.expression import OUTSIDE


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
        self._inner = torch.tensor([name in INNER for name in model.classes.names])

    @torch.no_grad()
    def step(self, batch: ViewBatch, stage: Stage, number: int) -> dict[str, Tensor]:
        """Take a step; returns the cost of each data term before it.

        Args:
            batch: the views of a step: some frames, each in some cameras.
            stage: weights of the terms, and by its rates the longest step of each parameter.
            number: of the step in the fit.

        Raises:
            HeadfitError: none of the stage's terms applies to this capture and head model.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        costs: list[dict[str, Tensor]] = []
        for frame in batch.frame.unique().tolist():  # one at a time: a frame's views and derivatives are large
            o = self.model.observe(batch.only(batch.frame == frame), crop_blur=0.0)
            residuals = self._residuals(o, stage, generator)
            if not residuals:
                raise HeadfitError("none of the stage's loss terms applies to this capture and head model")
            self._move(o.frames[0], PointResiduals.cat(list(residuals.values())), stage)
            costs.append({name: part.cost() / stage.weights[name] for name, part in residuals.items()})
        return {name: torch.stack([cost[name] for cost in costs]).mean() for name in costs[0]}

    def _move(self, frame: Tensor, residuals: PointResiduals, stage: Stage) -> None:
        """Move a frame `[]` to the minimum of the linearised residuals and of its priors."""
        geometry = self.model.geometry
        columns = Columns.of(geometry, stage.rates)
        values = columns.values(geometry, frame)
        equations = NormalEquations.of(residuals, VertexMotion(geometry, columns)(frame))
        self._add_priors(equations, columns, values, stage)
        lowest = torch.maximum(columns.lowest - values, -columns.longest)
        highest = torch.minimum(columns.highest - values, columns.longest)
        columns.store(geometry, frame, values + equations.solve(lowest, highest).to(values))

    def _residuals(self, o: Observation, stage: Stage, generator: torch.Generator) -> dict[str, PointResiduals]:
        """The residuals of each data term in one frame's views, weighted so that their costs add up to its loss."""
        found = {}
        weights = {name: weight for name, weight in stage.weights.items() if weight > 0}
        if "mask" in weights:
            found["mask"] = self._borders(o, stage.blur, generator).times(weights["mask"] / len(o.v_views))
        if "photometric" in weights and self.model.has_texture:
            part = colour_residuals(o, self.model, generator)
            found["photometric"] = part.times(weights["photometric"] / len(o.v_views))
        if "landmark" in weights and self.model.use_landmarks:
            found["landmark"] = landmark_residuals(o, self.model, stage).times(weights["landmark"])
        if "temporal" in weights:
            found["temporal"] = temporal_residuals(o, self.model).times(weights["temporal"])
        return found

    def _borders(self, o: Observation, blur: float, generator: torch.Generator) -> PointResiduals:
        model = self.model
        label = self._rendered_labels(o)
        counts = (OUTLINE_SAMPLES, INSIDE_SAMPLES)
        samples = sample_borders(label, o.fragments.depth, o.mask_known, counts, generator)
        return border_residuals(
            o,
            model.renderer.head_faces,
            samples,
            label,
            model.class_weight,
            self._inner.to(label.device),
            blur,
        )

    def _rendered_labels(self, o: Observation) -> Tensor:
        """Class `[B,H,W]` of each rendered pixel: 0 background, -1 what is not compared."""
        renderer = self.model.renderer
        of_face = self.model.class_of_label[renderer.face_labels]
        below_neck = of_face.new_full((len(renderer.faces) - renderer.face_count,), -1)
        of_index = torch.cat([of_face, below_neck, of_face.new_zeros(1)])  # index -1: background
        return of_index[o.fragments.index_img.long()]

    def _add_priors(self, equations: NormalEquations, columns: Columns, values: Tensor, stage: Stage) -> None:
        """Add the costs of `expression_prior` and of the joints, whose unknowns have the values `[P]`."""
        for name, of_group in columns.parameter.items():
            row = values[of_group]
            if name == "expression":
                weight, lowest = 2 * stage.weights.get("expression", 0.0), self.model.head.expression_lowest
                outside = row - row.clamp(lowest, torch.ones_like(lowest))
                curvature = weight * (1 + OUTSIDE * (outside != 0).to(row))
                equations.add_diagonal(of_group, curvature, weight * (row + OUTSIDE * outside))
            elif name == "joints_scaled":
                weight = 2 * stage.weights.get("joints", 0.0)
                equations.add_diagonal(of_group, torch.full_like(row, weight), weight * row)
