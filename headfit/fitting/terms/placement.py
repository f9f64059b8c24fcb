"""Prior of the placement of the rigid inner parts: small corrections."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term


def placement_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Sum of squares over a part's placement (5 cm, radians, log-scale), mean over the parts."""
    placement = model.geometry.placement_scaled
    return placement.square().sum() / max(1, len(placement))


TERM = Term("placement", placement_loss, regularises="placement")
