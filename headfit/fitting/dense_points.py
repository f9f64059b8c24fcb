"""What is fixed of a head's dense landmarks: how well each is known, and which are around the mouth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headfit.head import HeadModel

#: Spread (metres) at which a landmark counts half: as much as detectors err where their points are certain.
SPREAD = 0.003
#: Landmarks this near to the lips at rest (metres) move with them.
MOUTH_REACH = 0.01
LIPS = ("lips", "upper_lip", "lower_lip")


class DensePoints(nn.Module):
    """Constants of the D dense landmarks of a head model, none where it has none.

    Attributes:
        corners: `[D,3]` vertices of their faces.
        certainty: `[D]` in [0, 1], by the spread with which they were derived.
        around_mouth: bool `[D]`.
    """

    corners: Tensor
    certainty: Tensor
    around_mouth: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        rest = head.rest()
        lips = rest[head.vertices_of(*LIPS)]
        points = head.dense_landmarks(rest)
        near = torch.cdist(points, lips).amin(1) < MOUTH_REACH if len(lips) else points.new_zeros(len(points)).bool()
        for name, values in {
            "corners": head.faces[head.dense_landmark_faces].long(),
            "certainty": 1 / (1 + (head.dense_landmark_spread / SPREAD).square()),
            "around_mouth": near,
        }.items():
            self.register_buffer(name, values, persistent=False)

    def normals(self, vertices: Tensor) -> Tensor:
        """Unit normals `[...,D,3]` of the landmarks' faces on vertices `[...,V,3]`."""
        a, b, c = vertices[..., self.corners, :].unbind(-2)
        return torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
