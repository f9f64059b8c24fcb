"""The ground truth that some captures bring along in `gt/`, and which of its vertices the cameras see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from headfit.capture import Camera, Capture
from headfit.errors import HeadfitError
from headfit.raster import rasterize
from headfit.render import CameraBatch

_DEPTH_TOLERANCE = 1e-3  # metres: a vertex this far behind the surface that covers its pixel is hidden
_OVERSAMPLING = 2  # pixels are halved first, so that the depth beside a vertex is not that of a far slope


class GroundTruth:
    """`gt/topology.npz` and `gt/<frame>.npz` of a capture in the native format.

    faces [F,3]; face_parts [F] index part_names. Optional arrays of the file: `face_rendered [F]`, faces that
    the pictures show, and `field_hair [V]`, above 0 under hair. Raises HeadfitError where another is missing.
    """

    def __init__(self, folder: Path, metres_per_unit: float = 1.0) -> None:
        self.folder = folder
        self._metres_per_unit = metres_per_unit
        path = folder / "topology.npz"
        with np.load(path) as arrays:
            parts = "face_parts" if "face_parts" in arrays else "face_part"
            for name in ("faces", parts, "part_names"):
                if name not in arrays:
                    raise HeadfitError(f"{path}: misses the array {name}")
            self.faces: np.ndarray = arrays["faces"].astype(np.int64)
            self.face_parts: np.ndarray = arrays[parts].astype(np.int64)
            self.part_names: list[str] = [str(name) for name in arrays["part_names"]]
            rendered = arrays["face_rendered"] if "face_rendered" in arrays else np.ones(len(self.faces), bool)
            self._solid_faces = self.faces[rendered]
            self._hair = arrays["field_hair"] > 0 if "field_hair" in arrays else None

    @classmethod
    def of(cls, capture: Capture) -> GroundTruth | None:
        """The ground truth of a capture, or None where it has none."""
        folder = capture.path / "gt"
        return cls(folder, capture.metres_per_unit) if (folder / "topology.npz").is_file() else None

    def vertices(self, frame: str) -> np.ndarray | None:
        """World vertices [V,3] float64 in metres, or None for a frame without ground truth."""
        path = self.folder / f"{frame}.npz"
        if not path.is_file():
            return None
        with np.load(path) as arrays:
            vertices = arrays["vertices"].astype(np.float64) * self._metres_per_unit
        if len(vertices) <= self.faces.max():
            raise HeadfitError(f"{path}: {len(vertices)} vertices, but topology.npz counts up to {self.faces.max()}")
        return vertices

    def part_vertices(self, part: int) -> np.ndarray:
        """Ids of the vertices of one part (index into part_names)."""
        return np.unique(self.faces[self.face_parts == part])

    def seen(self, vertices: np.ndarray, cameras: list[Camera]) -> np.ndarray:
        """Which vertices at least one camera sees, hair left out. vertices [V,3] metres; returns [V] bool.

        A vertex is seen when its normal faces the camera, it falls into the picture, and no surface lies more
        than a millimetre in front of it.
        """
        normals = vertex_normals(vertices, self._solid_faces)
        visible = np.zeros(len(vertices), dtype=bool)
        for camera in cameras:
            visible |= self._seen_by(camera.scaled(_OVERSAMPLING), vertices, normals)
        return visible if self._hair is None else visible & ~self._hair

    def _seen_by(self, camera: Camera, vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
        v_pix = CameraBatch.of([camera]).project(torch.from_numpy(vertices.astype(np.float32))[None])
        faces = torch.from_numpy(self._solid_faces.astype(np.int32))
        index, _, surface = rasterize(v_pix, faces, (camera.height, camera.width))
        front = np.where(index[0].numpy() >= 0, surface[0].numpy(), np.inf)

        depth = v_pix[0, :, 2].numpy()
        column, row = np.floor(v_pix[0, :, :2].numpy()).astype(np.int64).T
        inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        faces_camera = np.einsum("ij,ij->i", normals, camera.centre - vertices) > 0
        visible = inside & faces_camera
        visible[visible] = depth[visible] <= front[row[visible], column[visible]] + _DEPTH_TOLERANCE
        return visible


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals [V,3], not normalised; zero for a vertex without faces."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    return normals
