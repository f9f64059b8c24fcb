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

    It moves everything but the free offsets. These are smooth, so a few points would take whole lips along, and Adam
    makes steps of millimetres of any gradient, however small, that only a few vertices have. Nothing brings lips back
    that no picture shows: what touches costs nothing once it is apart.
    """
    vertices, _ = model.geometry(o.frames, o.offsets.detach())
    depth = model.contact(vertices, o.frame_normals).index_select(0, o.frame_of_view)
    return (depth / MILLIMETRE).square().sum(1).mean()


TERM = Term("contact", contact_loss)
