"""Lens models by the name that capture.json calls them. A new one is a file in this folder and a line in `LENSES`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headfit.capture.lenses.base import Lens
from headfit.capture.lenses.fisheye import FisheyeLens
from headfit.capture.lenses.opencv import OpenCVLens
from headfit.errors import HeadfitError
from headfit.types import Float

LENSES: dict[str, type[Lens]] = {lens.name: lens for lens in (OpenCVLens, FisheyeLens)}
#: The model of a camera that names none.
DEFAULT_LENS = OpenCVLens.name
#: No distortion.
PINHOLE = OpenCVLens.of(())

__all__ = ["DEFAULT_LENS", "LENSES", "PINHOLE", "FisheyeLens", "Lens", "OpenCVLens", "make_lens"]


def make_lens(model: str, coefficients: Sequence[float] | Float) -> Lens:
    """The lens of a model with its coefficients.

    Args:
        model: a name in `LENSES`.
        coefficients: in the order of the model's `coefficient_names`, as many as one of its `coefficient_counts`.

    Raises:
        HeadfitError: an unknown model, as many coefficients as it does not have, or one that is not finite.
    """
    lens = LENSES.get(model)
    if lens is None:
        raise HeadfitError(f"unknown lens model {model!r}; known: {', '.join(LENSES)}")
    if len(coefficients) not in lens.coefficient_counts:
        forms = [f"[{', '.join(lens.coefficient_names[:count])}]" for count in lens.coefficient_counts]
        raise HeadfitError(
            f"lens {model!r} has the coefficients {' or '.join(forms)}, found {len(coefficients)} numbers"
        )
    if not np.isfinite(coefficients).all():
        raise HeadfitError(f"lens {model!r} has coefficients that are not finite: {list(coefficients)}")
    return lens.of(coefficients)
