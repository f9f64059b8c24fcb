"""Per-frame deformation beyond the head model's expressions, in a few hundred numbers per frame."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from headfit.fitting.smooth_offsets import SmoothOffsets
from headfit.head.sparse import SparseMatrix

#: Control points of a head.
CONTROL_POINTS = 300
#: Maximum resistance to free offsets (`HeadModel.cage_stiffness`) of a cage vertex that is a control point.
MAX_STIFFNESS = 3.0
#: Largest value of a function where it is left out.
NEGLIGIBLE = 1e-3


class FrameDetail(nn.Module):
    """Maps displacements `[N,K,3]` of control points to cage displacements `[N,Vc,3]`, in the same unit.

    The displacement of a control point is interpolated by a column of the matrix that smooths offsets (see
    `SmoothOffsets`), scaled to 1 at the point. Control points are spread evenly over the soft skin by the edges of the
    cage (farthest-point sampling), as those columns reach so many edges: most are on the face, where the cage is finer,
    few on scalp and neck. The number of parameters of a frame does not depend on the size of the mesh.

    Those columns reach far: a vertex has 265 of 300 above 0.001. So they are computed by functions that span the same
    displacements up to what is negligible, each 1 at one control point and 0 at the others, which fade within two or
    three of them, as the cardinal functions of such kernels do ("Localized bases for kernel spaces on the unit
    sphere", Fuselier et al. 2013): a vertex has about 25.

    Args:
        cage_faces: `[F,3]`.
        stiffness: `[Vc]` relative resistance of the vertices to offsets.
        rigid: bool `[Vc]`: the vertex belongs to a rigid part.
        smooth: the smoothing of offsets of this cage.

    Attributes:
        control_points: `[K]` cage vertices.
        between: `[K,K]` displacement of each control point, the coefficient of its function, by that of each in turn.
        functions: sparse `[Vc,K]`.
    """

    between: Tensor
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
            footprint = (footprint / footprint[chosen].diagonal().clamp_min(1e-12)).double()
            functions = torch.linalg.solve(footprint[chosen], footprint, left=False).cpu().numpy()
        self.functions = SparseMatrix(sp.csr_matrix(np.where(np.abs(functions) > NEGLIGIBLE, functions, 0.0)))
        self.register_buffer("between", footprint[chosen].float(), persistent=False)
        self.register_buffer("control_points", chosen, persistent=False)

    @property
    def control_point_count(self) -> int:
        """Number K of control points."""
        return len(self.control_points)

    def forward(self, displacement: Tensor) -> Tensor:
        """Cage displacements `[N,Vc,3]` of control-point displacements `[N,K,3]`."""
        moved: Tensor = self.functions(self.between @ displacement)
        return moved


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
