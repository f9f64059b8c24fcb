"""What is fixed of a head's dense landmarks: how well each is known, where it faces, which are around the mouth."""

from __future__ import annotations

import torch
from scipy.spatial import KDTree
from torch import Tensor, nn

from headfit.capture.labels import LIP_LABELS
from headfit.head import HeadModel

#: Spread (metres) at which a landmark counts half: as much as detectors err where their points are certain.
SPREAD = 0.003
#: Landmarks this near to the lips at rest (metres) move with them.
MOUTH_REACH = 0.01
#: A landmark faces away from the plane through so many of its neighbours, and moves with a face within this distance
#: (metres) that does: the faces in a crease or between closed lips, on which it may be, face each other.
NEIGHBOURS, NEIGHBOURHOOD = 40, 0.008


class DensePoints(nn.Module):
    """Constants of the D dense landmarks of a head model, none where it has none.

    Attributes:
        corners: `[D,3]` vertices of a face nearby that faces where the landmark does.
        certainty: `[D]` in [0, 1], by the spread with which they were derived.
        around_mouth: bool `[D]`.
    """

    corners: Tensor
    certainty: Tensor
    around_mouth: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        rest = head.rest()
        lips = rest[head.vertices_of(*LIP_LABELS)]
        points = head.dense_landmarks(rest)
        near = torch.cdist(points, lips).amin(1) < MOUTH_REACH if len(lips) else points.new_zeros(len(points)).bool()
        for name, values in {
            "corners": head.faces[_typical_faces(head, rest, points)].long(),
            "certainty": 1 / (1 + (head.dense_landmark_spread / SPREAD).square()),
            "around_mouth": near,
        }.items():
            self.register_buffer(name, values, persistent=False)

    def normals(self, vertices: Tensor) -> Tensor:
        """Unit normals `[...,D,3]` where the landmarks are on vertices `[...,V,3]`."""
        return torch.nn.functional.normalize(_areas(vertices[..., self.corners, :]), dim=-1)


def _areas(triangles: Tensor) -> Tensor:
    """Normals `[...,3]` of triangles `[...,3,3]`, as long as twice their areas."""
    a, b, c = triangles.unbind(-2)
    return torch.linalg.cross(b - a, c - a)


def _typical_faces(head: HeadModel, rest: Tensor, points: Tensor) -> Tensor:
    """Of each of points `[D,3]` the nearby face `[D]` that faces most like the plane through its neighbours."""
    found = head.dense_landmark_faces.clone()
    if not len(points):
        return found
    normals = torch.nn.functional.normalize(_areas(rest[head.faces.long()]), dim=-1)
    near_points = KDTree(points.numpy()).query(points.numpy(), min(NEIGHBOURS, len(points)))[1]
    near_faces = KDTree(rest[head.faces.long()].mean(1).numpy()).query_ball_point(points.numpy(), NEIGHBOURHOOD)
    for number, (around, faces) in enumerate(zip(near_points, near_faces, strict=True)):
        if faces:
            cloud = points[around]
            across = torch.linalg.svd(cloud - cloud.mean(0)).Vh[2]
            outward = across * (across @ points[number]).sign()  # the origin is inside the skull
            found[number] = faces[int((normals[faces] @ outward).argmax())]
    return found
