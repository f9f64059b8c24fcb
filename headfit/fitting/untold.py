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
    near = torch.nn.functional.max_pool2d(untold.float(), 2 * MARGIN + 1, stride=1, padding=MARGIN) > 0
    return replace(batch, label_weight=batch.label_weight.masked_fill(near, 0))
