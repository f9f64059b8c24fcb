"""The hair term: the outline of the hair layer and the hairline against the masks."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term, mean_share_of_head


def hair_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Squared difference of the images of background, head and hair; it moves the hair layer only."""
    assert o.hair_class is not None  # see FittedHead.has_hair
    fragments = model.rasterize_hair(o.v_views, o.normals, o.cameras)
    background, hair = o.batch.label_prob[..., 0], o.batch.label_prob[..., o.hair_class]
    head = (255 - background.short() - hair).clamp_min(0).byte()  # shares are rounded
    shares = torch.stack([background, head, hair], dim=-1)
    known = (o.batch.label_weight == 255) & ~fragments.below_neck
    return mean_share_of_head(model.hair_renderer.label_loss(fragments, shares) * known, model.area_by_trust(o))


TERM = Term("hair", hair_loss, regularises="hair", needs_hair=True, in_progress_bar=True)
