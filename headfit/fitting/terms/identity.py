"""Prior of the identity components."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

#: Standard deviations at which the prior turns from quadratic to linear.
LINEAR_FROM = 3.0


def identity_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """`identity_prior` of the person."""
    return identity_prior(model.geometry.identity)


def identity_prior(identity: Tensor) -> Tensor:
    """Mean cost of components `[I]` in standard deviations of the basis: quadratic where they are usual, linear beyond
    (pseudo-Huber).

    A Gaussian would be right for a basis of scans of the population that the person belongs to. The default basis comes
    from an artist's sliders, whose spread is a guess: a scan-based head, registered to it, lies up to 2.7 of its
    standard deviations out.
    """
    return 2 * LINEAR_FROM**2 * ((1 + (identity / LINEAR_FROM).square()).sqrt() - 1).sum() / max(1, len(identity))


TERM = Term("identity", identity_loss, regularises="identity")
