"""Prior of a frame's detail: small displacements."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.rows import rows_of
from headfit.fitting.terms.term import Term


def detail_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Sum of squares over a frame's control points (millimetres), mean over the views."""
    return rows_of(model.geometry.detail_mm, o.batch.frame).square().sum((1, 2)).mean()


TERM = Term("detail", detail_loss, regularises="detail")
