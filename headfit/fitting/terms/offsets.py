"""Prior of the free offsets: smooth ones."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term


def offsets_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Bending energy of the offsets, see `SmoothOffsets.bending`."""
    return model.geometry.smooth.bending(o.offsets)


TERM = Term("offsets", offsets_loss, regularises="offsets")
