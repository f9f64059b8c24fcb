"""Cameras, appearance and the renderer: vertices + camera to layers."""

from headfit.render.appearance import Appearance
from headfit.render.cameras import CameraBatch
from headfit.render.hair import HairRenderer
from headfit.render.pixels import Pixels
from headfit.render.renderer import COLOUR_LOSS, Fragments, HeadRenderer

__all__ = ["COLOUR_LOSS", "Appearance", "CameraBatch", "Fragments", "HairRenderer", "HeadRenderer", "Pixels"]
