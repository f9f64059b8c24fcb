"""Small corrections of the capture's cameras: no calibration is exact to a tenth of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from headfit.capture.camera import Camera
from headfit.capture.rig import describe_rig
from headfit.head.rotation import axis_angle_to_matrix
from headfit.render import CameraBatch

#: Usual error of a calibration, one standard deviation: rotation about the head (radians) and shift at the head
#: (metres) along each axis, logarithm of the focal length, principal point as a share of the focal length.
USUAL_ERROR = (0.5e-3,) * 3 + (0.5e-3,) * 3 + (1e-3,) + (0.5e-3,) * 2


class CameraCorrection(nn.Module):
    """Corrections `values [C,9]` of the cameras, in units of `USUAL_ERROR`.

    Each moves the world in front of its camera, x_cam = R (W (x - pivot) + pivot + s) + t, with rotation W and shift s,
    and scales the focal lengths and shifts the principal point. The pivot is where the cameras look, so that W turns
    the head in the picture and s moves it, nearly independently.

    The mean over the trained cameras is taken off: together they would only move, turn or zoom the head. Cameras that
    are not trained on keep their calibration.

    Args:
        cameras: the capture's cameras.
        trained: indices of those that are trained on.
    """

    pivot: Tensor
    unit: Tensor
    is_trained: Tensor

    def __init__(self, cameras: Sequence[Camera], trained: Sequence[int]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(len(cameras), len(USUAL_ERROR)))
        pivot = describe_rig(cameras).look_at
        if not np.isfinite(pivot).all():
            pivot = np.zeros(3)
        is_trained = torch.zeros(len(cameras), 1)
        is_trained[list(trained)] = 1.0
        self.register_buffer("pivot", torch.as_tensor(pivot), persistent=False)
        self.register_buffer("unit", torch.tensor(USUAL_ERROR), persistent=False)
        self.register_buffer("is_trained", is_trained, persistent=False)

    def relative(self) -> Tensor:
        """The corrections `[C,9]` without their common part, in units of `USUAL_ERROR`."""
        mean = (self.values * self.is_trained).sum(0) / self.is_trained.sum().clamp_min(1.0)
        return (self.values - mean) * self.is_trained

    def forward(self, cameras: CameraBatch, index: Tensor) -> CameraBatch:
        """The corrected `cameras`, B views of the capture's cameras `index [B]`."""
        values = (self.relative() * self.unit).index_select(0, index).to(cameras.K)
        turn = axis_angle_to_matrix(values[:, :3])
        pivot = self.pivot.to(values)
        R = cameras.R @ turn
        t = cameras.t + (cameras.R @ (pivot + values[:, 3:6] - turn @ pivot)[..., None])[..., 0]
        focal = cameras.K[:, :2, :2] * values[:, 6].exp()[:, None, None]
        centre = cameras.K[:, :2, 2] + cameras.K[:, :2, :2].diagonal(dim1=1, dim2=2) * values[:, 7:9]
        top = torch.cat([focal, centre[..., None]], dim=-1)
        return replace(cameras, K=torch.cat([top, cameras.K[:, 2:]], dim=1), R=R, t=t)

    @torch.no_grad()
    def corrected(self, cameras: Sequence[Camera]) -> list[Camera]:
        """The capture's `cameras`, corrected, in double precision."""
        index = torch.arange(len(cameras), device=self.values.device)
        size = (cameras[0].height, cameras[0].width)
        batch = self.forward(CameraBatch.of(cameras, self.values.device, size, torch.float64), index)
        K, R, t = (x.cpu().numpy() for x in (batch.K, batch.R, batch.t))
        return [replace(camera, K=K[i], R=R[i], t=t[i]) for i, camera in enumerate(cameras)]
