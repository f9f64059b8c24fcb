"""Prior of the hair layer: a smooth one."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term


def hair_shape_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Bending energy of the heights, see `HairLayer.bending`."""
    return model.hair.bending()


TERM = Term("hair_shape", hair_shape_loss, regularises="hair", needs_hair=True)
