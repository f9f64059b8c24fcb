"""Visibility of ground-truth vertices to the cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headfit.capture import Camera, TrueMeshes
from headfit.raster import rasterize
from headfit.render import CameraBatch

_DEPTH_TOLERANCE = 1e-3  # metres: a vertex farther than this behind the surface in its pixel is hidden
_OVERSAMPLING = 2  # rendering scale, so that the depth next to a vertex is not that of a distant slope


def seen_vertices(truth: TrueMeshes, vertices: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """Bool `[V]`: the vertex is seen by at least one camera and is not under hair.

    A vertex is seen if its normal faces the camera, it projects into the image, and no surface is more than a
    millimetre in front of it.

    Args:
        truth: states which faces the images show; the others occlude nothing and are never seen.
        vertices: `[V,3]` metres, world, of one frame.
        cameras: the cameras to test.
    """
    faces = truth.faces[truth.face_rendered]
    normals = vertex_normals(vertices, faces)
    seen = np.zeros(len(vertices), dtype=bool)
    for camera in cameras:
        seen |= _seen_by(camera.scaled(_OVERSAMPLING), vertices, normals, faces)
    return seen if truth.under_hair is None else seen & ~truth.under_hair


def _seen_by(camera: Camera, vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> np.ndarray:
    v_pix = CameraBatch.of([camera]).project(torch.from_numpy(vertices.astype(np.float32))[None])
    index, _, surface = rasterize(v_pix, torch.from_numpy(faces.astype(np.int32)), (camera.height, camera.width))
    front = np.where(index[0].numpy() >= 0, surface[0].numpy(), np.inf)

    depth = v_pix[0, :, 2].numpy()
    column, row = np.floor(v_pix[0, :, :2].numpy()).astype(np.int64).T
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    faces_camera = np.einsum("ij,ij->i", normals, camera.centre - vertices) > 0
    seen = inside & faces_camera
    seen[seen] = depth[seen] <= front[row[seen], column[seen]] + _DEPTH_TOLERANCE
    return seen


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals `[V,3]`, not normalised; zero for a vertex without faces."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    return normals
