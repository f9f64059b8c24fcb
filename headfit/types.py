"""Aliases for the numpy array types of annotations; shapes are given in the docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]
