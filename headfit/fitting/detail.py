"""Per-frame deformation beyond the head model's expressions, in a few hundred numbers per frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headfit.fitting.smooth_offsets import SmoothOffsets

#: Control points of a head.
CONTROL_POINTS = 200
#: Maximum resistance to free offsets (`HeadModel.cage_stiffness`) of a cage vertex that is a control point.
MAX_STIFFNESS = 3.0


class FrameDetail(nn.Module):
    """Maps displacements `[N,K,3]` of control points to cage displacements `[N,Vc,3]`, in the same unit.

    Control points are spread evenly over the soft skin (farthest-point sampling on the mean cage). The displacement of
    a control point is interpolated by a column of the matrix that smooths offsets (see `SmoothOffsets`), scaled to 1 at
    the point. The number of parameters of a frame therefore does not depend on the size of the mesh.
    """

    footprint: Tensor
    control_points: Tensor

    def __init__(self, mean: Tensor, stiffness: Tensor, rigid: Tensor, smooth: SmoothOffsets) -> None:
        super().__init__()
        soft = ((stiffness <= MAX_STIFFNESS) & ~rigid).nonzero()[:, 0]
        points = mean[soft].double().cpu().numpy()
        chosen = soft[torch.from_numpy(farthest_points(points, CONTROL_POINTS)).to(soft.device)]
        pulls = torch.zeros(len(mean), len(chosen), device=mean.device)
        pulls[chosen, torch.arange(len(chosen))] = 1.0
        with torch.no_grad():
            footprint = smooth(pulls)
            height = footprint[chosen, torch.arange(len(chosen))]
        self.register_buffer("footprint", footprint / height.clamp_min(1e-12), persistent=False)
        self.register_buffer("control_points", chosen, persistent=False)

    @property
    def control_point_count(self) -> int:
        """Number K of control points."""
        return len(self.control_points)

    def forward(self, displacement: Tensor) -> Tensor:
        """Cage displacements `[N,Vc,3]` of control-point displacements `[N,K,3]`."""
        return torch.einsum("vk,nkd->nvd", self.footprint, displacement)


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` of `points [N,3]`: farthest-point sampling that starts farthest from the centroid."""
    chosen: list[int] = []
    distance = np.linalg.norm(points - points.mean(0), axis=1)
    for _ in range(min(count, len(points))):
        chosen.append(int(distance.argmax()))
        to_last = np.linalg.norm(points - points[chosen[-1]], axis=1)
        distance = to_last if len(chosen) == 1 else np.minimum(distance, to_last)
    return np.array(chosen, dtype=np.int64)
