"""The photometric term: rendered colours against the images."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import ComparedColours, Observation
from headfit.fitting.terms.term import Term, mean_share_of_head
from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS
from headfit.render.filters import extend_by_one_pixel, per_channel


def photometric_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Charbonnier difference of colours, mean share of the head. Where the light model holds (`ComparedColours.lit`) it
    also moves edges."""
    shown = model.compare_colours(o)
    difference = loss_of_pixels(shown.colours, shown.image, *COLOUR_LOSS)
    edges = model.renderer.colour_edges(difference, without_edges_to_the_unknown(shown), shown.image, o.fragments)
    return mean_share_of_head(edges * shown.lit + difference * shown.texture_only, o.head_area)


def without_edges_to_the_unknown(shown: ComparedColours) -> Tensor:
    """The render `[B,H,W,3]`. Pixels that are not lit are filled in from lit neighbours, so the border of what is lit
    creates no edge gradient."""
    lit = per_channel(shown.lit, shown.colours.shape[-1])
    return torch.where(lit, shown.colours, extend_by_one_pixel(shown.colours.detach(), shown.lit))


TERM = Term("photometric", photometric_loss, in_progress_bar=True)
