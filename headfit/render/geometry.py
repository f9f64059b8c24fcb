"""Vertex normals."""

from __future__ import annotations

from torch import Tensor, nn

from headfit.raster import OppositeEdges, vertex_normals


class VertexNormals(nn.Module):
    """Computes area-weighted vertex normals for fixed connectivity."""

    def __init__(self, faces: Tensor, vertex_count: int) -> None:
        """`faces [F,3]` into `vertex_count` vertices."""
        super().__init__()
        self.opposite = OppositeEdges(faces, vertex_count)

    def forward(self, vertices: Tensor) -> Tensor:
        """Unit normals `[B,V,3]` of `vertices [B,V,3]`; 0 where all adjacent faces have zero area."""
        return vertex_normals(vertices, self.opposite)
