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
    return shown.pixels.put(extend_by_one_pixel(shown.rendered, shown.lit), shown.colours, shown.lit)


def texture_only(shown: ComparedColours, head_area: Tensor) -> Tensor:
    """The difference at the other compared pixels, per head area, mean over views; it moves no edges."""
    pixels = shown.pixels
    unlit = pixels.take(shown.compared & ~shown.lit)
    difference = loss_of_pixels(shown.colours, pixels.take(shown.image), *COLOUR_LOSS) * unlit
    return (difference / pixels.per_view(head_area)).sum() / len(head_area)


TERM = Term("photometric", photometric_loss, in_progress_bar=True)
