"""The jaw-line landmarks (iBUG 0-16) as points of the face's silhouette, which depend on the view.

Annotators and detectors put these points on the visible edge of the face: on the jaw where it is visible, otherwise on
the silhouette of the cheek. So each point may slide along an arc of the skin, from its place on the jaw towards the
front of the face, to the first point that faces the camera ("landmark marching", Zhu et al. 2015; here the arcs are
cut from the mesh instead of following its rows of vertices).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.head.model import HeadModel
from headfit.types import Float, Int

#: Landmarks that give the front of the face: below the nose, and the corners of the mouth.
SUBNASAL, MOUTH = 33, (48, 54)
#: Distance between neighbouring points of an arc (metres), and their number: arcs end after 8 cm.
SPACING, POINTS = 0.001, 81
#: Arcs end after this fraction of the way, seen from the front, from the jaw to the middle of the face.
INWARD = 0.85
#: Arcs start this fraction of the way from the landmark to the centroid of its mesh face.
NUDGE = 0.02
#: Number of neighbouring arc points whose orientation is averaged.
SMOOTHED_POINTS = 5


class JawContour(nn.Module):
    """Chooses the 17 contour points of a head model in each view.

    The candidates are `arc_faces [17,M]` and `arc_bary [17,M,3]`: point 0 of each arc is the model's landmark, the
    others follow inwards, one every millimetre of the mean head; short arcs repeat their last point.
    Raises ValueError for a head without landmarks.
    """

    arc_faces: Tensor
    arc_bary: Tensor
    corners: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        if not head.has_landmarks:
            raise ValueError("the landmarks of this head are unknown")
        faces, bary = _arcs(head)
        self.register_buffer("arc_faces", torch.from_numpy(faces), persistent=False)
        self.register_buffer("arc_bary", torch.from_numpy(bary).float(), persistent=False)
        self.register_buffer("corners", head.faces[self.arc_faces].long(), persistent=False)

    @torch.no_grad()
    def forward(self, v_world: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Faces `[B,17]` and barycentric weights `[B,17,3]` of the contour points in each view.

        Args:
            v_world: vertices `[B,V,3]` of one head per view.
            centres: optical centres `[B,3]` in the same frame and unit.
        """
        triangles = v_world[:, self.corners]  # [B,17,M,3,3]
        points = (triangles * self.arc_bary[..., None]).sum(3)
        normal = torch.linalg.cross(
            triangles[..., 1, :] - triangles[..., 0, :], triangles[..., 2, :] - triangles[..., 0, :], dim=-1
        )
        facing = (torch.nn.functional.normalize(normal, dim=-1) * (centres[:, None, None] - points)).sum(-1)
        # Facets are flat; averaging along the arc approximates the orientation of the smooth surface.
        facing = torch.nn.functional.avg_pool1d(
            facing, SMOOTHED_POINTS, 1, SMOOTHED_POINTS // 2, count_include_pad=False
        )
        visible = facing > 0
        # The first point that faces the camera. If none does, the last point is the one closest to the silhouette.
        first = torch.where(visible.any(-1), visible.long().argmax(-1), visible.shape[-1] - 1)
        arc = torch.arange(CONTOUR_COUNT, device=first.device)
        return self.arc_faces[arc, first], self.arc_bary[arc, first]


def contour_points(v_world: Tensor, faces: Tensor, contour_faces: Tensor, contour_bary: Tensor) -> Tensor:
    """Contour points `[B,17,3]` of heads, differentiable in the vertices.

    Args:
        v_world: vertices `[B,V,3]`.
        faces: `[F,3]`.
        contour_faces: faces `[B,17]` from JawContour.
        contour_bary: barycentric weights `[B,17,3]` from JawContour.
    """
    corners = faces[contour_faces].long()
    view = torch.arange(len(v_world), device=v_world.device)[:, None, None]
    return (v_world[view, corners] * contour_bary[..., None]).sum(2)


def _arcs(head: HeadModel) -> tuple[Int, Float]:
    """Arcs on the mean head: faces `[17,M]` and barycentric weights `[17,M,3]`.

    From landmarks at or above the height of the mouth an arc runs level to the middle of the face, from those below it
    runs towards the mouth. It lies in the plane spanned by the front axis (z) and the direction outwards from there.
    """
    vertices = head.rest().double().numpy()
    faces = head.faces.long().numpy()
    start_faces, start_bary = head.landmark_faces.numpy(), head.landmark_bary.double().numpy()
    points = head.landmarks(torch.from_numpy(vertices)).numpy()
    mouth = points[list(MOUTH)].mean(0)
    part = head.face_parts.numpy()
    walker = _Walker(vertices, faces, np.flatnonzero(part == part[start_faces[SUBNASAL]]))
    found_faces, found_bary = np.zeros((CONTOUR_COUNT, POINTS), np.int64), np.zeros((CONTOUR_COUNT, POINTS, 3))
    for number in range(CONTOUR_COUNT):
        here = points[number]
        middle = np.array([points[SUBNASAL, 0], max(here[1], mouth[1]), here[2]])
        outward = here - middle
        outward[2] = 0.0
        reach = np.linalg.norm(outward)
        outward /= reach
        # Start inside the mesh face: a plane through one of its corners may miss it.
        begin = here + NUDGE * (vertices[faces[start_faces[number]]].mean(0) - here)
        path = walker.walk(
            int(start_faces[number]), begin, np.cross(outward, [0.0, 0.0, 1.0]), -outward, INWARD * reach
        )
        found_faces[number], found_bary[number] = _resampled(path, vertices, faces)
        found_faces[number, 0], found_bary[number, 0] = start_faces[number], start_bary[number]
    return found_faces, found_bary


class _Walker:
    """Follows the intersection of a plane with some faces of a mesh.

    Args:
        vertices: `[V,3]`.
        faces: `[F,3]`.
        among: indices `[N]` of the faces to walk on.
    """

    def __init__(self, vertices: Float, faces: Int, among: Int) -> None:
        self.vertices, self.faces = vertices, faces
        self.faces_at: dict[tuple[int, int], list[int]] = {}
        for face in among:
            a, b, c = sorted(faces[face].tolist())
            for edge in ((a, b), (b, c), (a, c)):
                self.faces_at.setdefault(edge, []).append(int(face))

    def walk(self, face: int, start: Float, normal: Float, heading: Float, reach: float) -> list[tuple[int, Float]]:
        """The path in a plane over the mesh: its faces, and the point where it leaves each (first, the start).

        Args:
            face: index of the face to start on.
            start: point `[3]` on it.
            normal: normal `[3]` of the plane through `start`.
            heading: direction `[3]` to take at first.
            reach: length along `heading` after which the path ends; it also ends at a border, or when it closes.
        """
        path = [(face, start)]
        entered_by: tuple[int, int] | None = None
        visited: set[int] = set()
        while face not in visited:
            visited.add(face)
            exits = [exit for exit in self._crossings(face, start, normal) if exit[0] != entered_by]
            if not exits:
                break
            edge, point = max(exits, key=lambda exit: float((exit[1] - path[-1][1]) @ heading))
            path.append((face, point))
            following = [other for other in self.faces_at[edge] if other != face]
            if not following or (point - start) @ heading > reach:
                break
            face, entered_by = following[0], edge
        return path

    def _crossings(self, face: int, origin: Float, normal: Float) -> list[tuple[tuple[int, int], Float]]:
        """Edges of a face that the plane crosses, and where. A vertex on the plane counts as above it."""
        corners = sorted(self.faces[face].tolist())
        height = {corner: float((self.vertices[corner] - origin) @ normal) for corner in corners}
        found = []
        for a, b in ((corners[0], corners[1]), (corners[1], corners[2]), (corners[0], corners[2])):
            if (height[a] < 0) != (height[b] < 0):
                share = height[a] / (height[a] - height[b])
                found.append(((a, b), (1 - share) * self.vertices[a] + share * self.vertices[b]))
        return found


def _resampled(path: list[tuple[int, Float]], vertices: Float, faces: Int) -> tuple[Int, Float]:
    """`POINTS` points every `SPACING` along a path: faces `[M]` and weights `[M,3]`; short paths repeat their end."""
    points = np.array([point for _, point in path])
    length = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    at = np.minimum(np.arange(POINTS) * SPACING, length[-1])
    segment = np.searchsorted(length, at, side="left").clip(1 if len(path) > 1 else 0, len(path) - 1)
    before = np.maximum(segment - 1, 0)
    share = (at - length[before]) / np.maximum(length[segment] - length[before], 1e-12)
    here = points[before] + share[:, None] * (points[segment] - points[before])
    face = np.array([number for number, _ in path])[segment]  # segment k ends where the path leaves face k
    return face, _barycentric(here, vertices[faces[face]])


def _barycentric(points: Float, corners: Float) -> Float:
    """Barycentric weights `[N,3]`, clamped to [0,1], of points `[N,3]` in the planes of triangles `[N,3,3]`."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    scale = np.maximum((normal**2).sum(1), 1e-30)
    v = (np.cross(points - a, c - a) * normal).sum(1) / scale
    w = (np.cross(b - a, points - a) * normal).sum(1) / scale
    return np.stack([1 - v - w, v, w], 1).clip(0, 1)
