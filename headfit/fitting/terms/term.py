"""What a loss term is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation


@dataclass(frozen=True)
class Term:
    """One term of the loss. It is computed in the stages that give it a weight.

    Args:
        name: key in `Stage.weights`, and in TensorBoard under `loss/<stage>/`.
        loss: the scalar, of one step's views.
        regularises: the parameter group that a prior acts on; the term is skipped where that group does not move. "":
            none.
        needs_landmarks: whether the term is skipped where landmarks are not used.
        needs_dense_landmarks: whether it is skipped where dense landmarks are not used, as in most captures.
        needs_hair: whether the term is skipped where masks or head model know no hair.
        normalised_by: what the loss is a mean over: the batch's views, or its landmarks or dense landmarks by their
            weights. With several processes each one's loss counts by its share of them.
        in_progress_bar: whether the progress bar shows it.
    """

    name: str
    loss: Callable[[Observation, FittedHead, Stage], Tensor]
    regularises: str = ""
    needs_landmarks: bool = False
    needs_dense_landmarks: bool = False
    needs_hair: bool = False
    normalised_by: Literal["views", "landmarks", "dense_landmarks"] = "views"
    in_progress_bar: bool = False

    def applies(self, model: FittedHead, stage: Stage) -> bool:
        """Whether the stage computes this term."""
        return (
            stage.weights.get(self.name, 0.0) != 0
            and (not self.regularises or stage.rates.get(self.regularises, 0.0) > 0)
            and (not self.needs_landmarks or model.use_landmarks)
            and (not self.needs_dense_landmarks or model.use_dense_landmarks)
            and (not self.needs_hair or model.has_hair)
        )


def mean_share_of_head(per_pixel: Tensor, head_area: Tensor) -> Tensor:
    """Sum of `per_pixel [B,H,W]` over each view, divided by `head_area [B]` (pixels), mean over views.

    So data terms are the share of the head that is wrong: their weights mean the same at any resolution, framing and
    number of cameras.
    """
    return (per_pixel.sum((1, 2)) / head_area).mean()
