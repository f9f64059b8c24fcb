"""Prior of the expression units."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.rows import rows_of
from headfit.fitting.terms.term import Term

#: How much more a square outside of the range costs, in addition.
OUTSIDE = 20.0


def expression_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """`expression_prior` of the views' frames, each as often as it has views: a mean over views splits over
    processes."""
    return expression_prior(rows_of(model.geometry.expression, o.batch.frame), model.head.expression_lowest)


def expression_prior(expression: Tensor, lowest: Tensor) -> Tensor:
    """Mean cost of activations `[N,E]`: small ones are likely; those below `lowest [E]` or above 1 are nearly always
    wrong.

    One square for all units, because full activation is three standard deviations out: for statistical components by
    their scale (`headfit.head.importers`), for an artist's units by experience (in a speaking face those that move at
    all have an rms of 0.28). Outside of their range the cost rises 21 times as steeply, and `FitParameters.clamp` ends
    it.
    """
    outside = F.relu(lowest - expression) + F.relu(expression - 1)
    return (expression.square() + OUTSIDE * outside.square()).sum(-1).mean()


TERM = Term("expression", expression_loss, regularises="expression")
