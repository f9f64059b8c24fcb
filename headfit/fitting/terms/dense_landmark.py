"""The dense landmark term: MediaPipe's points on the model against detected ones."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms.landmark import MOUTH_SHARE, mouth_yields, point_distance
from headfit.fitting.terms.term import Term

#: A point counts fully where its normal is within 50 degrees of the view, not at all beyond 80; cosines.
OBLIQUE, FACING = 0.17, 0.64
#: Yaw of the head towards the camera (radians) at which its points count half: beyond, detectors see a frontal face.
HALF_YAW = 0.7
#: A point is hidden where the model's surface is nearer to the camera by more than this, metres.
HIDDEN_BEHIND = 0.005


def dense_landmark_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Distance of the dense landmarks in the views, as in the landmark term, by their weights."""
    points = o.cameras.project(model.head.dense_landmarks(o.v_views))[..., :2]
    weights = dense_landmark_weights(o, model, stage)
    return point_distance(points, o.batch.dense_landmarks, weights, o.head_area)


@torch.no_grad()
def dense_landmark_weights(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
    """Weights `[B,D]` of the dense landmarks: the detector's confidence, by how exactly the point is known on the head,
    whether the model shows it and how obliquely, and how far the head is turned; less in views whose 68 landmarks the
    others contradict. Around the mouth they yield to masked lips like the 68."""
    vertices, centres = o.v_views, o.cameras.centres()
    points, dense = model.head.dense_landmarks(vertices), model.dense
    shown = facing_share(dense.normals(vertices), centres[:, None] - points) * unhidden(o, points)
    trust = model.landmark_trust[o.batch.frame, o.batch.camera][:, CONTOUR_COUNT:].float().mean(1)
    of_view = trust * yaw_share(model.geometry.directions(o.batch.frame, centres))
    yields = torch.where(dense.around_mouth & mouth_yields(o, model, stage)[:, None], MOUTH_SHARE, 1.0)
    return o.batch.dense_landmark_weight * dense.certainty * shown * of_view[:, None] * yields


def facing_share(normals: Tensor, to_camera: Tensor) -> Tensor:
    """Weights `[...]` in [0, 1] of surface points by unit normals `[...,3]` and directions to the camera `[...,3]`:
    smooth, 1 seen from the front, 0 from behind."""
    cosine = (normals * torch.nn.functional.normalize(to_camera, dim=-1)).sum(-1)
    share = ((cosine - OBLIQUE) / (FACING - OBLIQUE)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def yaw_share(directions: Tensor) -> Tensor:
    """Weights `[...]` in [0, 1] of views by the direction to their camera `[...,3]` in the head frame."""
    yaw = torch.atan2(directions[..., 0], directions[..., 2])
    return 1 / (1 + (yaw / HALF_YAW) ** 4)


def unhidden(o: Observation, points: Tensor) -> Tensor:
    """Bool `[B,D]`: the model hides none of the points `[B,D,3]` (world) in the pixel where it is; True outside of the
    picture."""
    x, y, depth = o.cameras.project(points).unbind(-1)
    surface = o.fragments.depth
    height, width = surface.shape[1:]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = x.floor().long().clamp(0, width - 1), y.floor().long().clamp(0, height - 1)
    seen = surface[torch.arange(len(surface), device=surface.device)[:, None], row, column]
    return ~inside | (seen == 0) | (depth < seen + HIDDEN_BEHIND)


TERM = Term(
    "dense_landmark",
    dense_landmark_loss,
    needs_dense_landmarks=True,
    normalised_by="dense_landmarks",
    in_progress_bar=True,
)
