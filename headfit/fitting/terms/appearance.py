"""Prior of the appearance: what few pixels see stays near its surroundings, and no camera has a light of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term

#: Usual size (standard deviation, display-coded colour) of the detail that a finer level of the texture adds to the
#: coarser ones; of the coefficients of a camera's residual light and of the gloss; of a camera's log-gain.
DETAIL, RESIDUAL_LIGHT, GLOSS, GAIN = 0.05, 0.05, 0.05, 0.05


def appearance_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Squares of texture detail, residual light, gloss and log-gain in units of their usual size: means, summed."""
    appearance = model.appearance
    detail = torch.stack([level.square().mean() for level in list(appearance.levels)[1:]]).sum() / DETAIL**2
    light = appearance.camera_light.square().mean() / RESIDUAL_LIGHT**2
    gloss = appearance.gloss.square().mean() / GLOSS**2
    return detail + light + gloss + appearance.log_gain.square().mean() / GAIN**2


TERM = Term("appearance", appearance_loss, regularises="texture")
