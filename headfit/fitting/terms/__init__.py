"""The loss terms, one a file. A new term is a new file and a line in `TERMS`; a stage's `weights` then may name it."""

from headfit.fitting.terms import (
    appearance,
    cameras,
    contact,
    dense_landmark,
    detail,
    expression,
    hair,
    hair_shape,
    identity,
    joints,
    landmark,
    mask,
    offset_size,
    offsets,
    photometric,
    placement,
    temporal,
)
from headfit.fitting.terms.term import Term

TERMS: dict[str, Term] = {
    module.TERM.name: module.TERM
    for module in (
        mask,
        photometric,
        landmark,
        dense_landmark,
        cameras,
        appearance,
        contact,
        identity,
        expression,
        joints,
        placement,
        offsets,
        offset_size,
        detail,
        temporal,
        hair,
        hair_shape,
    )
}

__all__ = ["TERMS", "Term"]
