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
from headfit.types import Float

#: Usual error of a calibration, one standard deviation: rotation about the head (radians) and shift at the head
#: (metres) along each axis, logarithm of the focal length, principal point as a share of the focal length.
USUAL_ERROR = (0.5e-3,) * 3 + (0.5e-3,) * 3 + (1e-3,) + (0.5e-3,) * 2
#: Half the size of a head, metres: by it a rotation and a change of size become displacements of what is seen.
RADIUS = 0.1
#: Common motions are found down to this singular value, relative to the largest. That of moving the head towards two
#: cameras is about the sine of half their angle.
LEAST_TOLD = 0.1


class CameraCorrection(nn.Module):
    """Corrections `values [C,9]` of the cameras, in units of `USUAL_ERROR`.

    Each moves the world in front of its camera, x_cam = R (W (x - pivot) + pivot + s) + t, with rotation W and shift s,
    and scales the focal lengths and shifts the principal point. The pivot is where the cameras look, so that W turns
    the head in the picture and s moves it, nearly independently.

    What the trained cameras do together, and the head could do instead, is taken off: a similarity of the world about
    the pivot. Means of the values would not do, as one value can stand for another: principal points to the left on the
    left side and to the right on the right move the head towards all cameras. Where cameras look nearly the same way
    and cannot tell nearer from larger, only what they see is taken off. Cameras that are not trained on keep their
    calibration.

    Args:
        cameras: the capture's cameras.
        trained: indices of those that are trained on.
    """

    pivot: Tensor
    unit: Tensor
    is_trained: Tensor
    to_common: Tensor
    from_common: Tensor

    def __init__(self, cameras: Sequence[Camera], trained: Sequence[int]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(len(cameras), len(USUAL_ERROR)))
        pivot = describe_rig(cameras).look_at
        if not np.isfinite(pivot).all():
            pivot = np.zeros(3)
        is_trained = torch.zeros(len(cameras), 1)
        if len(trained) > 1:  # one camera has nothing to disagree with
            is_trained[list(trained)] = 1.0
        self.register_buffer("pivot", torch.as_tensor(pivot), persistent=False)
        self.register_buffer("unit", torch.tensor(USUAL_ERROR), persistent=False)
        self.register_buffer("is_trained", is_trained, persistent=False)
        to_common, from_common = _common_motion(cameras, trained, pivot)
        self.register_buffer("to_common", torch.as_tensor(to_common, dtype=torch.float32), persistent=False)
        self.register_buffer("from_common", torch.as_tensor(from_common, dtype=torch.float32), persistent=False)

    def relative(self) -> Tensor:
        """The corrections `[C,9]` without their common part, in units of `USUAL_ERROR`."""
        common = torch.einsum("gcp,cp->g", self.to_common.to(self.values), self.values)
        return (self.values - self.from_common.to(self.values) @ common) * self.is_trained

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


def _common_motion(cameras: Sequence[Camera], trained: Sequence[int], pivot: Float) -> tuple[Float, Float]:
    """The similarity of the world that corrections of the trained cameras resemble most, and the one correction that is
    the same similarity in every camera.

    To first order, a correction of a camera displaces what it shows at the pivot by R s + z p across the picture (p the
    principal point's shift, z the depth), makes it larger by the share f - (R s)_z / z, and turns it by W; a similarity
    with translation T, rotation w and growth g does so by R T, g - (R T)_z / z and w. T, w and g are the least squares
    of the difference over all trained cameras, rotations and shares times `RADIUS`. What these do not tell, by
    `LEAST_TOLD`, is left out: small errors would make it large.

    Returns:
        `[7,C,9]`: (T, w, g) by the values of each camera; `[9,7]`: the values that every camera has for (T, w, g).
    """
    unit = np.array(USUAL_ERROR)
    effect, motion = np.zeros((len(trained), 6, 9)), np.zeros((len(trained), 6, 7))
    for row, index in enumerate(trained):
        R, z = cameras[index].R, max(float(cameras[index].to_camera(pivot)[2]), RADIUS)
        for seen, shift, turn, growth in ((effect[row], 3, 0, 6), (motion[row], 0, 3, 6)):
            seen[:2, shift : shift + 3] = R[:2]
            seen[2, shift : shift + 3] = -RADIUS * R[2] / z
            seen[2, growth] = RADIUS
            seen[3:, turn : turn + 3] = RADIUS * np.eye(3)
        effect[row, :2, 7:] = z * np.eye(2)
    to_common = np.zeros((7, len(cameras), 9))
    metres = np.array([1.0] * 3 + [RADIUS] * 4)[:, None]  # of T, w and g: what they move the head's surface by
    solved = np.linalg.pinv(motion.reshape(-1, 7) / metres.T, rcond=LEAST_TOLD) / metres
    to_common[:, list(trained)] = np.einsum("gce,cep->gcp", solved.reshape(7, len(trained), 6), effect * unit)
    from_common = np.zeros((9, 7))
    from_common[3:6, :3] = from_common[:3, 3:6] = np.eye(3)
    from_common[6, 6] = 1.0
    return to_common, from_common / unit[:, None]
