"""A stand-in for the body below the neck's cut: the below-neck region.

Every head model ends somewhere on the neck, and no two end at the same place. Pixels that show the rest of the person
must neither pull the neck's end nor count as background. So a wide collar is rendered with the head, from the open
neck border outwards and down, with depth and occlusion like any surface; pixels that show it are ignored.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Rings of the collar as (times the neck's radius, metres along the neck's axis away from the head).
#: The first lies on the neck a little above the cut, because the neck's end itself flares differently in each model.
RINGS = ((1.04, -0.012), (2.2, -0.005), (5.0, 0.03), (6.0, 0.6))


class Torso(nn.Module):
    """Collar vertices and faces over an ordered loop of the head's vertices.

    Args:
        neck_loop: `[N]` vertex indices around the open neck border, in order; empty for a closed head.
        vertex_count: number of head vertices; collar vertices are numbered from there.
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
        """Collar vertices `[B,rings*N,3]` of heads `v_world [B,V,3]`; without gradient: no loss moves them."""
        if not len(self.neck_loop):
            return v_world[:, :0]  # a closed head has no cut, and no collar
        loop = v_world[:, self.neck_loop]
        centre = loop.mean(1, keepdim=True)
        spoke = loop - centre
        # Twice the loop's vector area; it may point either way, so turn it away from the head.
        axis = torch.linalg.cross(spoke, spoke.roll(-1, 1), dim=-1).sum(1, keepdim=True)
        axis = torch.nn.functional.normalize(axis, dim=-1)
        side = ((centre - v_world.mean(1, keepdim=True)) * axis).sum(-1, keepdim=True).sign()
        return torch.cat([centre + r * spoke + down * side * axis for r, down in RINGS], dim=1)
