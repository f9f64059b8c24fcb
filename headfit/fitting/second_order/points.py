"""Residuals of landmarks, and of points in neighbouring frames."""

from __future__ import annotations

import torch
from torch import Tensor

from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.second_order.residuals import PointResiduals, point_residuals
from headfit.fitting.terms.dense_landmark import dense_landmark_weights
from headfit.fitting.terms.landmark import SCALE, landmark_weights
from headfit.fitting.terms.temporal import NOISE, STRIDE, neighbour_points


def landmark_residuals(o: Observation, model: FittedHead, stage: Stage) -> PointResiduals:
    """Distances of the landmarks in the views along x and y (pixels), as in the landmark term,
    whose mean over the landmarks' weights is not taken here."""
    assert model.contour is not None  # see FittedHead.use_landmarks
    head = model.head
    contour_faces, contour_bary = model.contour(o.v_views, o.cameras.centres())
    views = len(o.v_views)
    faces = torch.cat([contour_faces, head.landmark_faces[CONTOUR_COUNT:].expand(views, -1)], dim=1)
    bary = torch.cat([contour_bary, head.landmark_bary[CONTOUR_COUNT:].expand(views, -1, -1)], dim=1)
    return _distances(o, head.faces[faces].long(), bary, o.batch.landmarks, landmark_weights(o, model, stage))


def dense_landmark_residuals(o: Observation, model: FittedHead, stage: Stage) -> PointResiduals:
    """The same of the dense landmarks, as in the dense landmark term."""
    head, views = model.head, len(o.v_views)
    corners = head.faces[head.dense_landmark_faces].long().expand(views, -1, -1)
    bary = head.dense_landmark_bary.expand(views, -1, -1)
    return _distances(o, corners, bary, o.batch.dense_landmarks, dense_landmark_weights(o, model, stage))


def _distances(o: Observation, corners: Tensor, bary: Tensor, target: Tensor, weight: Tensor) -> PointResiduals:
    """Distances (pixels) along x and y of points of the surface, `corners` and `bary [B,N,3]`, from `target [B,N,2]`,
    by `weight [B,N]` and the weights of the pseudo-Huber loss."""
    views = len(o.v_views)
    view = torch.arange(views, device=corners.device)[:, None, None]
    points = (o.v_views[view, corners] * bary[..., None]).sum(2)
    difference = o.cameras.project(points)[..., :2] - target
    area = o.head_area[:, None]
    relative = (difference.square().sum(-1) / area + SCALE**2).sqrt()
    weight = weight * SCALE / (area * relative)
    along = torch.eye(2).to(bary)[:, None, None].expand(2, views, corners.shape[1], 2)
    parts = [point_residuals(o, corners, bary, along[axis], difference[..., axis], weight) for axis in (0, 1)]
    return PointResiduals.cat(parts)


def temporal_residuals(o: Observation, model: FittedHead) -> PointResiduals:
    """Steps of points (metres) from the mean of the frames before and after, by the weights that the temporal term's
    bounded cost gives them."""
    points = o.v_frames[0, ::STRIDE]
    around, exists = neighbour_points(o, model)
    steps = points - around[0]  # [2,S,3]
    # Derivative by d^2 / 2 of the mean over points of d^2 / (d^2 + NOISE^2), half of it for each neighbour.
    each = exists[0, :, None] * (NOISE / (steps.square().sum(-1) + NOISE**2)).square() / len(points)
    weight = each.sum(0)
    mean = (steps * each[..., None]).sum(0) / weight.clamp_min(1e-20)[:, None]
    vertices = torch.arange(0, o.v_frames.shape[1], STRIDE, device=points.device)
    corners = vertices[:, None, None].expand(-1, 3, 3).flatten(0, 1)
    axes = torch.eye(3).to(points).expand(len(points), 3, 3).flatten(0, 1)
    first = torch.nn.functional.pad(axes[:, None], (0, 0, 0, 2))  # the other corners do not count
    return PointResiduals(corners, first, mean.flatten(), weight[:, None].expand(-1, 3).flatten())
