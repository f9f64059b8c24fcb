"""Prior of the free offsets: small ones. For captures without masks, where nothing else ends scalp and neck."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

#: Usual size (standard deviation) of an offset from the head model's nearest head, metres.
OFFSET = 0.003


def offset_size_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Mean squared offset in units of `OFFSET`."""
    return o.offsets.square().sum(-1).mean() / OFFSET**2


TERM = Term("offset_size", offset_size_loss, regularises="offsets")
