"""Prior of the joints: small rotations and translations."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.rows import rows_of
from headfit.fitting.terms.term import Term


def joints_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Sum of squares over a frame's joints (radians, 5 cm), by `FitParameters.joint_prior`, mean over the views."""
    squares = rows_of(model.geometry.joints_scaled, o.batch.frame).square()
    return (squares * model.geometry.joint_prior).sum((1, 2)).mean()


TERM = Term("joints", joints_loss, regularises="joints")
