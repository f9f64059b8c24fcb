"""Small meshes that intersect, fold or cross the near plane, for comparisons with the slow reference."""

import torch
from torch import Tensor

SIZE = (20, 24)
Scene = tuple[Tensor, Tensor]  # v_pix `[2,V,3]` float64, faces


def soup(faces: int, vertices: int, seed: int, behind: float = 0.0) -> Scene:
    """Random triangles at random depths, most of which intersect; with few vertices, they share some."""
    g = torch.Generator().manual_seed(seed)
    v = torch.rand(2, vertices, 3, generator=g, dtype=torch.float64)
    v = torch.cat([(1.2 * v[..., :2] - 0.1) * 24, 0.5 + 2 * v[..., 2:] - behind], -1)
    # Sorted and unique: of two faces with the same vertices, rounding would decide which is nearer.
    chosen = torch.stack([torch.randperm(vertices, generator=g)[:3] for _ in range(faces)])
    return v, chosen.sort(1).values.unique(dim=0).int()


def crumpled(cells: int, noise: float, seed: int) -> Scene:
    """A sheet whose vertices are displaced by up to `noise` cells, and in depth, so that it folds."""
    g = torch.Generator().manual_seed(seed)
    u = torch.linspace(2, 22, cells + 1, dtype=torch.float64)
    y, x = torch.meshgrid(u, u, indexing="ij")
    v = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3).repeat(2, 1, 1)
    v += torch.rand(v.shape, generator=g, dtype=v.dtype) * torch.tensor([noise * 20 / cells] * 2 + [0.3])
    n = torch.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    p, q, r, t = n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]
    faces = torch.cat([torch.stack([p, q, r], -1).reshape(-1, 3), torch.stack([p, r, t], -1).reshape(-1, 3)])
    return v, faces.int()


SCENES = {
    "triangles": soup(6, 18, seed=0),
    "intersecting triangles": soup(30, 60, seed=1),
    "non-manifold triangles": soup(40, 20, seed=2),
    "behind the camera": soup(20, 40, seed=3, behind=1.0),
    "sheet": crumpled(5, 0.8, seed=4),
    "folded sheet": crumpled(6, 3.0, seed=5),
    "sheet of pixel size": crumpled(20, 2.0, seed=6),
}


def random(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)
