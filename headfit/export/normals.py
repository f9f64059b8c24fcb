"""Unit normals of exported surfaces."""

from __future__ import annotations

import numpy as np
import torch

from headfit.render.geometry import VertexNormals


def unit_normals(normals_of: VertexNormals, vertices: np.ndarray) -> np.ndarray:
    """Normals `[V,3]` float32 of vertices `[V,3]`; (0, 0, 1) where no face has an area: glTF wants unit vectors."""
    local = vertices - vertices.mean(axis=0)  # float32 is too coarse far away
    normals = normals_of(torch.from_numpy(local).float()[None])[0].numpy()
    return np.where(np.abs(normals).max(axis=1, keepdims=True) > 0, normals, np.array([0, 0, 1], np.float32))
