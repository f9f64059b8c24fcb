"""The photometric term: rendered colours against the images."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import ComparedColours, FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term, mean_share_of_head
from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS
from headfit.render.filters import extend_by_one_pixel


def photometric_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Charbonnier difference of colours. Where the light model holds (`ComparedColours.lit`) it also moves edges."""
    shown = model.compare_colours(o)
    image = without_edges_to_the_unknown(shown)
    moving = mean_share_of_head(model.renderer.colour_loss(image, shown.image, o.fragments) * shown.lit, o.head_area)
    return moving + texture_only(shown, o.head_area)


def without_edges_to_the_unknown(shown: ComparedColours) -> Tensor:
    """The render `[B,H,W,3]`. Pixels that are not compared are filled in from compared neighbours, so the border of the
    compared region creates no edge gradient."""
    extended = extend_by_one_pixel(shown.rendered, shown.lit).flatten(0, 2)
    is_lit = shown.lit.flatten()[shown.pixels]
    return extended.index_copy(0, shown.pixels[is_lit], shown.colours[is_lit]).view_as(shown.image)


def texture_only(shown: ComparedColours, head_area: Tensor) -> Tensor:
    """The difference at the other compared pixels, per head area, mean over views; it moves no edges."""
    unlit = ~shown.lit.flatten()[shown.pixels]
    pixels = shown.pixels[unlit]
    difference = loss_of_pixels(shown.colours[unlit], shown.image.flatten(0, 2)[pixels], *COLOUR_LOSS)
    view = pixels // shown.lit[0].numel()
    return (difference / head_area[view]).sum() / len(head_area)


TERM = Term("photometric", photometric_loss, in_progress_bar=True)
