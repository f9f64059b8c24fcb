"""Residuals of points of a surface, in the one form that the normal equations take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headfit.fitting.observation import Observation
from headfit.render import CameraBatch


@dataclass(frozen=True)
class PointResiduals:
    """N residuals of points on the surface of a frame. Moving the corners of its triangle by m `[3,3]` (metres, world)
    adds the sum of `direction * m` to a residual; each costs weight value^2 / 2.

    corners `[N,3]`: vertices of the point's triangle. direction `[N,3,3]`: one of each corner. value, weight `[N]`.
    """

    corners: Tensor
    direction: Tensor
    value: Tensor
    weight: Tensor

    @classmethod
    def none(cls, device: torch.device) -> PointResiduals:
        """No residuals."""
        vectors, values = torch.zeros(0, 3, 3, device=device), torch.zeros(0, device=device)
        return cls(vectors[..., 0].long(), vectors, values, values)

    @classmethod
    def cat(cls, parts: list[PointResiduals]) -> PointResiduals:
        """All residuals of several parts."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    def chosen(self, rows: Tensor | slice) -> PointResiduals:
        """Those with some indices `[M]`, or in a slice."""
        return PointResiduals(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def times(self, factor: float | Tensor) -> PointResiduals:
        """The residuals with all weights multiplied by a factor."""
        return replace(self, weight=self.weight * factor)

    def cost(self) -> Tensor:
        """The cost `[]` of all residuals."""
        return (self.weight * self.value.square()).sum() / 2


def image_residuals(
    o: Observation, faces: Tensor, pixels: Tensor, direction: Tensor, value: Tensor, weight: Tensor
) -> PointResiduals:
    """Residuals of the surface points that some pixels show.

    Args:
        o: the views of one frame, and the model in them.
        faces: `[F,3]` of the head.
        pixels: `[B,M]` flat indices into H*W, of pixels on the head where they have a weight.
        direction: `[B,M,2]` derivative of the residual by the point's place in the image (per pixel).
        value, weight: `[B,M]`.
    """
    face = o.fragments.index_img.flatten(1).gather(1, pixels).long()
    shown = (face >= 0) & (face < o.fragments.face_count)
    corners = faces[face.clamp(0, o.fragments.face_count - 1)].long()
    bary = o.fragments.bary.flatten(1, 2).gather(1, pixels[..., None].expand(-1, -1, 3))
    return point_residuals(o, corners, bary, direction, value, weight * shown)


def point_residuals(
    o: Observation, corners: Tensor, bary: Tensor, direction: Tensor, value: Tensor, weight: Tensor
) -> PointResiduals:
    """Residuals of surface points in views, by their places in the images.

    Args:
        o: the views of one frame, and the model in them.
        corners, bary: `[B,M,3]` vertices and barycentric weights of the points.
        direction: `[B,M,2]` derivative of the residual by the point's place in the image (per pixel).
        value, weight: `[B,M]`.
    """
    view = torch.arange(len(corners), device=corners.device)[:, None, None]
    points = (o.v_views[view, corners] * bary[..., None]).sum(2)
    in_world = bary[..., None] * pull_back(o.cameras, points, direction)[:, :, None]
    parts = (corners, in_world, value, weight)
    return PointResiduals(*(part.detach().flatten(0, 1) for part in parts))


@torch.enable_grad()
def pull_back(cameras: CameraBatch, points: Tensor, direction: Tensor) -> Tensor:
    """Derivatives `[B,M,3]` by points `[B,M,3]` (world, metres) of `direction [B,M,2]` times their image points."""
    points = points.detach().requires_grad_()
    along = (cameras.project(points)[..., :2] * direction.detach()).sum()
    return torch.autograd.grad(along, points)[0]
