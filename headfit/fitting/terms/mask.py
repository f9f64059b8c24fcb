"""The mask term: label classes of the model against those of the masks."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term, mean_share_of_head
from headfit.render.filters import gaussian_blur


def mask_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Squared difference of rendered and observed class images, each class by its weight and each view by its trust.

    A rendered class image is 0 or 1 at a sample while the target is the coverage of the pixel; both have the same
    mean over the sub-pixel position of the border, so the squared loss is unbiased.
    """
    known = o.mask_known.float()
    area = model.area_by_trust(o)
    if stage.blur:
        return blurred_mask_loss(model.class_images(o), o.target, known, model.class_weight, area, stage.blur)
    return mean_share_of_head(model.label_loss(o) * known, area)


def blurred_mask_loss(
    rendered: Tensor, target: Tensor, weight: Tensor, class_weight: Tensor, head_area: Tensor, blur: float
) -> Tensor:
    """Squared difference of class images that are both blurred, so that borders further apart than a pixel find each
    other.

    Args:
        rendered: one-hot class images `[B,H,W,C]`.
        target: class coverage `[B,H,W,C]` in [0,1].
        weight: `[B,H,W]` in [0,1]; 0 where the mask is unknown or the model ends.
        class_weight: `[C]`.
        head_area: `[B]` pixels.
        blur: standard deviation in pixels, > 0.
    """
    difference = gaussian_blur((rendered - target) * weight[..., None], blur)
    return mean_share_of_head(difference.square() @ class_weight, head_area)


TERM = Term("mask", mask_loss, in_progress_bar=True)
