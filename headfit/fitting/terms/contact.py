"""Prior of contact: teeth, tongue, lips and the lining of the mouth do not enter each other."""

from __future__ import annotations

from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

MILLIMETRE = 1e-3


def contact_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Square of the depths that `MouthContact` measures (millimetres): sum over points, mean over the views.

    Where masks do not show the lips, the free offsets are left alone, and teeth, tongue and jaw give way. Offsets are
    smooth, so a few points take whole lips along; Adam makes steps of millimetres of any gradient, however small, that
    few vertices have; and what touched costs nothing once it is apart. So nothing would bring such lips back.
    """
    vertices = o.v_frames if model.masks_show_lips else model.geometry(o.frames, o.offsets.detach())[0]
    depth = model.contact(vertices, o.frame_normals).index_select(0, o.frame_of_view)
    return (depth / MILLIMETRE).square().sum(1).mean()


TERM = Term("contact", contact_loss)
