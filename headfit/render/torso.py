"""A collar of geometry in place of the body below the neck's cut: the below-neck region.

Head models end on the neck, each at a different place. Pixels that show the rest of the person must neither attract
the end of the neck nor count as background. Therefore a wide collar is rendered with the head, from the open neck
border outwards and down, with depth and occlusion like any surface; pixels that show it are ignored.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Rings of the collar as (times the neck's radius, metres along the neck's axis away from the head).
#: The first ring is on the neck slightly above the cut, because the end of the neck flares differently in each model.
RINGS = ((1.04, -0.012), (2.2, -0.005), (5.0, 0.03), (6.0, 0.6))


class Torso(nn.Module):
    """Vertices and faces of a collar over an ordered loop of the head's vertices.

    Args:
        neck_loop: `[N]` vertex indices around the open neck border, in order; empty for a closed head.
        vertex_count: number of head vertices; the collar's vertices are numbered from there on.
    """

    neck_loop: Tensor
    faces: Tensor

    def __init__(self, neck_loop: Tensor, vertex_count: int) -> None:
        super().__init__()
        self.register_buffer("neck_loop", neck_loop.long(), persistent=False)
        n = len(neck_loop)
        i = torch.arange(n)
        j = (i + 1) % n
        faces = []
        for ring in range(len(RINGS) - 1):
            a, b = vertex_count + ring * n, vertex_count + (ring + 1) * n
            faces += [torch.stack([a + i, b + i, b + j], 1), torch.stack([a + i, b + j, a + j], 1)]
        self.register_buffer("faces", torch.cat(faces).to(torch.int32), persistent=False)

    @torch.no_grad()
    def vertices(self, v_world: Tensor) -> Tensor:
        """Collar vertices `[B,rings*N,3]` of heads `v_world [B,V,3]`, detached: no loss moves them."""
        if not len(self.neck_loop):
            return v_world[:, :0]  # a closed head has no cut and therefore no collar
        loop = v_world[:, self.neck_loop]
        centre = loop.mean(1, keepdim=True)
        spoke = loop - centre
        # Twice the loop's vector area; its sign depends on the loop's direction, so orient it away from the head.
        axis = torch.linalg.cross(spoke, spoke.roll(-1, 1), dim=-1).sum(1, keepdim=True)
        axis = torch.nn.functional.normalize(axis, dim=-1)
        side = ((centre - v_world.mean(1, keepdim=True)) * axis).sum(-1, keepdim=True).sign()
        return torch.cat([centre + r * spoke + down * side * axis for r, down in RINGS], dim=1)
