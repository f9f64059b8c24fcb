"""Lens models by the name that capture.json calls them. A new one is a file in this folder and a line in `LENSES`."""

from headfit.capture.lenses.base import Lens
from headfit.capture.lenses.opencv import OpenCVLens

LENSES: dict[str, type[Lens]] = {lens.name: lens for lens in (OpenCVLens,)}
#: The model of a camera that names none.
DEFAULT_LENS = OpenCVLens.name
#: No distortion.
PINHOLE = OpenCVLens.of(())

__all__ = ["DEFAULT_LENS", "LENSES", "PINHOLE", "Lens", "OpenCVLens"]
