"""Per-frame deformation beyond the head model's expressions, in a few hundred numbers per frame."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from headfit.fitting.smooth_offsets import SmoothOffsets

#: Control points of a head.
CONTROL_POINTS = 300
#: Maximum resistance to free offsets (`HeadModel.cage_stiffness`) of a cage vertex that is a control point.
MAX_STIFFNESS = 3.0


class FrameDetail(nn.Module):
    """Maps displacements `[N,K,3]` of control points to cage displacements `[N,Vc,3]`, in the same unit.

    The displacement of a control point is interpolated by a column of the matrix that smooths offsets (see
    `SmoothOffsets`), scaled to 1 at the point. Control points are spread evenly over the soft skin by the edges of the
    cage (farthest-point sampling), as those columns reach so many edges: most are on the face, where the cage is finer,
    few on scalp and neck. The number of parameters of a frame does not depend on the size of the mesh.

    Args:
        cage_faces: `[F,3]`.
        stiffness: `[Vc]` relative resistance of the vertices to offsets.
        rigid: bool `[Vc]`: the vertex belongs to a rigid part.
        smooth: the smoothing of offsets of this cage.
    """

    footprint: Tensor
    control_points: Tensor

    def __init__(self, cage_faces: Tensor, stiffness: Tensor, rigid: Tensor, smooth: SmoothOffsets) -> None:
        super().__init__()
        soft = ((stiffness <= MAX_STIFFNESS) & ~rigid).nonzero()[:, 0]
        connected = edge_graph(cage_faces.cpu().numpy(), len(stiffness))[soft.cpu().numpy()][:, soft.cpu().numpy()]
        chosen = soft[torch.from_numpy(farthest_vertices(connected, CONTROL_POINTS)).to(soft.device)]
        pulls = torch.zeros(len(stiffness), len(chosen), device=stiffness.device)
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


def edge_graph(faces: NDArray[np.integer], count: int) -> sp.csr_matrix:
    """Which of `count` vertices the edges of `faces [F,3]` connect, `[count,count]`."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    graph = sp.csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    return graph + graph.T


def farthest_vertices(connected: sp.csr_matrix, count: int) -> NDArray[np.int64]:
    """Up to `count` vertices of a graph `[V,V]`: the first one, then each time the one that most edges part from those
    chosen before it. Every connected component has one, if there are enough."""
    chosen: list[int] = []
    distance = np.full(connected.shape[0], np.inf)
    while len(chosen) < min(count, len(distance)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, dijkstra(connected, indices=chosen[-1], unweighted=True))
    return np.array(chosen, dtype=np.int64)
