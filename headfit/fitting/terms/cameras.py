"""Prior of the camera corrections: as small as the usual error of a calibration."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term


def cameras_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Sum of squares over a camera's correction (standard deviations of the usual error), mean over all cameras."""
    return model.cameras.values.square().sum(1).mean()


TERM = Term("cameras", cameras_loss, regularises="cameras")
