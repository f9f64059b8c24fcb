"""What a frame's surface does beyond the head model's expressions, in a few numbers a frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headfit.fitting.offsets import SmoothOffsets

#: Handles of a head.
HANDLES = 200
#: A cage vertex is soft enough for a handle up to this resistance to free offsets (`cage_stiffness`).
SOFT = 3.0


class FrameDetail(nn.Module):
    """Maps `[N,handles,3]` displacements of handles to cage displacements `[N,Vc,3]`, in the same unit.

    Handles are spread evenly over the soft skin (farthest-point sampling on the mean cage); each carries its
    surroundings along as a pull on a sheet does: its footprint is a column of the matrix that makes offsets smooth (see
    SmoothOffsets), scaled to 1 at the handle. So a frame costs some hundred numbers, whatever the mesh.
    """

    footprint: Tensor

    def __init__(self, mean: Tensor, stiffness: Tensor, rigid: Tensor, smooth: SmoothOffsets) -> None:
        super().__init__()
        soft = ((stiffness <= SOFT) & ~rigid).nonzero()[:, 0]
        points = mean[soft].double().cpu().numpy()
        self.handles = soft[torch.from_numpy(farthest_points(points, HANDLES))]
        pulls = torch.zeros(len(mean), len(self.handles))
        pulls[self.handles, torch.arange(len(self.handles))] = 1.0
        with torch.no_grad():
            footprint = smooth(pulls)
            height = footprint[self.handles, torch.arange(len(self.handles))]
        self.register_buffer("footprint", footprint / height.clamp_min(1e-12), persistent=False)

    def forward(self, displacement: Tensor) -> Tensor:
        """Cage displacements `[N,Vc,3]` of handle displacements `[N,handles,3]`."""
        return torch.einsum("vk,nkd->nvd", self.footprint, displacement)


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` of `points [N,3]`, each as far as can be from those before it; the first is the one
    farthest from the centre."""
    chosen: list[int] = []
    distance = np.linalg.norm(points - points.mean(0), axis=1)
    for _ in range(min(count, len(points))):
        chosen.append(int(distance.argmax()))
        to_last = np.linalg.norm(points - points[chosen[-1]], axis=1)
        distance = to_last if len(chosen) == 1 else np.minimum(distance, to_last)
    return np.array(chosen, dtype=np.int64)
