"""Prior of the joints: small rotations and translations."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.rows import rows_of
from headfit.fitting.terms.term import Term


def joints_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Sum of squares over a frame's joints (radians, 5 cm), mean over the views."""
    return rows_of(model.geometry.joints_scaled, o.batch.frame).square().sum((1, 2)).mean()


TERM = Term("joints", joints_loss, regularises="joints")
