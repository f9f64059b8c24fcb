"""Vertex normals."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit vertex normals `[B,V,3]` of `vertices [B,V,3]`, area-weighted over `faces [F,3]`; zero-area fans give 0."""
    corners = vertices[:, faces.long()]
    face_normal = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
    normal = torch.zeros_like(vertices)
    normal = normal.index_add(1, faces.reshape(-1).long(), face_normal.repeat_interleave(3, dim=1))
    return F.normalize(normal, dim=-1, eps=1e-12)
