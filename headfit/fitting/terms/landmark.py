"""The landmark term: projected landmarks of the model against detected ones."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.term import Term
from headfit.head.contour import contour_points

#: Distance, as a share of the head's size, at which the loss turns from quadratic to linear: 2 px of 290.
SCALE = 0.007
#: The mouth's points are iBUG 48-67. Detectors err there alike in all views (a scream's lower lip by 5 to 10 mm), which
#: no triangulation shows; the borders of masked lips say it better. Then the points count by this share.
MOUTH, MOUTH_SHARE = 48, 0.1
#: Share of the jaw line (iBUG 0-16), which is compared with the model's outline: along it a detector's points slide.
OUTLINE_SHARE = 0.2


def landmark_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Distance of the landmarks in the views; those of the jaw line (iBUG 0-16) to the model's outline."""
    assert model.contour is not None  # see FittedHead.use_landmarks
    outline = contour_points(o.v_views, model.head.faces, *model.contour(o.v_views, o.cameras.centres()))
    inner = model.head.landmarks(o.v_views)[:, CONTOUR_COUNT:]
    points = o.cameras.project(torch.cat([outline, inner], dim=1))[..., :2]
    return point_distance(points, o.batch.landmarks, landmark_weights(o, model, stage), o.head_area)


def landmark_weights(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """The detector's confidence where the triangulation trusts it, `[B,68]`, less for the jaw line; in stages that
    compare masks sharply, the mouth's points yield to the lips that the view's mask shows. In a stage that weighs dense
    landmarks, those of a view are compared instead: its 68 are made of them, and are not to count twice."""
    weights = o.batch.landmark_weight * model.landmark_trust[o.batch.frame, o.batch.camera]
    weights = torch.cat([weights[:, :CONTOUR_COUNT] * OUTLINE_SHARE, weights[:, CONTOUR_COUNT:]], dim=1)
    if stage.weights.get("dense_landmark"):
        weights = weights * ~(o.batch.dense_landmark_weight > 0).any(1, keepdim=True)
    share = torch.where(mouth_yields(o, model, stage), MOUTH_SHARE, 1.0)[:, None]
    return torch.cat([weights[:, :MOUTH], weights[:, MOUTH:] * share], dim=1)


def mouth_yields(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Bool `[B]`: the view's mask shows lips and is compared sharply, so that the mouth's points yield to it."""
    if stage.blur:
        return torch.zeros_like(o.batch.frame, dtype=torch.bool)
    return (o.shown_classes & model.is_lip).any(1)


def point_distance(points: Tensor, target: Tensor, weight: Tensor, head_area: Tensor) -> Tensor:
    """Pseudo-Huber distance of image points relative to the head's size (the root of its area), weighted mean.

    Args:
        points, target: `[B,N,2]` pixels.
        weight: `[B,N]`, 0 for missing or invisible points.
        head_area: `[B]` pixels.
    """
    r2 = (points - target).square().sum(-1) / head_area[:, None]
    huber = SCALE * ((r2 + SCALE**2).sqrt() - SCALE)
    return (huber * weight).sum() / weight.sum().clamp_min(1.0)


TERM = Term("landmark", landmark_loss, needs_landmarks=True, normalised_by="landmarks", in_progress_bar=True)
