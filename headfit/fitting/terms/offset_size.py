"""Prior of the free offsets: bounded ones, where neither pictures nor masks say anything."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

#: Usual length of an offset, in metres: what the identity components leave of a person.
USUAL = 0.01


def offset_size_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Mean squared length of the offsets in units of the usual one."""
    return o.offsets.square().sum(1).mean() / USUAL**2


TERM = Term("offset_size", offset_size_loss, regularises="offsets")
