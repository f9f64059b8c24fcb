"""What masks cannot tell of what the model shows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.render import Fragments

#: Pixels around one that is not compared that are not compared either: the gradient at a border reads two pixels on
#: each side.
MARGIN = 2


def without_untold(batch: ViewBatch, fragments: Fragments, face_class: Tensor) -> ViewBatch:
    """The batch with label weight 0 where the model shows a label that its masks do not tell from others.

    So neither such a label nor its borders have a loss: masks with two lips and no inside of the mouth call it one of
    them, or skin, and would pull the lips there.

    Args:
        batch: the views.
        fragments: what they see of the model.
        face_class: `[F]` class of each face of the head, -1 for labels that are not compared.
    """
    untold = (face_class < 0)[fragments.head_index.long().clamp_min(0)] & fragments.head
    return replace(batch, label_weight=batch.label_weight.masked_fill(_around(untold), 0))


def without_missed(batch: ViewBatch, fragments: Fragments, face_class: Tensor, parts: Tensor, whole: int) -> ViewBatch:
    """The batch with label weight 0 where the model shows a part that a view's mask lacks and the mask shows the whole.

    Parsers miss a tongue in some views, and merge small parts into what is around them. What shows it is the other
    views: a part that none of them shows is not in `parts`, since the masks have no such class.

    Args:
        batch, fragments, face_class: as in `without_untold`.
        parts: bool `[C]`: the classes of such parts.
        whole: the class that a mask shows in place of a part that it misses.
    """
    missed = torch.nn.functional.pad(parts & ~batch.shown_classes(), (0, 1))  # class -1 picks the last column
    of_pixel = face_class[fragments.head_index.long().clamp_min(0)] % missed.shape[1]
    part = missed.gather(1, of_pixel.flatten(1)).view_as(of_pixel) & fragments.head
    replaced = _around(part) & (batch.label_prob[..., whole] > 0)
    return replace(batch, label_weight=batch.label_weight.masked_fill(replaced, 0))


def _around(region: Tensor) -> Tensor:
    """A region `[B,H,W]`, and what is within `MARGIN` of it."""
    return torch.nn.functional.max_pool2d(region.float(), 2 * MARGIN + 1, stride=1, padding=MARGIN) > 0
