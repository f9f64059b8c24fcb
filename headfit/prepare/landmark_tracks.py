"""Landmarks of many views as tracks of points: which of them a view shows, and how certain they are."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from headfit.prepare.bundle import Rig, Tracks
from headfit.types import Bool, Float

#: Standard deviation of the detector's error that its own scatter does not show, as a share of the face's extent.
FLOOR = 0.008
#: The scatter is of a detector against itself on the same picture: the true error is larger by about this factor.
SCATTER_FACTOR = 1.5
#: Least cosine between a point's normal and the direction to the camera.
MIN_FACING = 0.25
NEIGHBOURS = 12


def facing(shapes: Float) -> Bool:
    """Which points of landmark shapes `[..., P,3]` (z away from the camera) face the camera, `[...,P]`.

    The normal of a point is that of the plane through its neighbours in the mean of all frontal shapes; a point whose
    shape is unknown (nan) does not face anything.
    """
    flat = shapes.reshape(-1, *shapes.shape[-2:])
    result = np.zeros(flat.shape[:2], dtype=bool)
    for index, shape in enumerate(flat):
        if np.isfinite(shape).all():
            result[index] = _normals(shape)[:, 2] < -MIN_FACING
    return result.reshape(shapes.shape[:-1])


def _normals(shape: Float) -> Float:
    """Unit normals `[P,3]`, pointing away from the inside of the head."""
    near = shape[cKDTree(shape).query(shape, NEIGHBOURS)[1]]
    _, _, axes = np.linalg.svd(near - near.mean(axis=1, keepdims=True))
    normals = axes[:, 2]
    # The inside of the head: the face is a cap, and its border is behind its centre.
    _, _, whole = np.linalg.svd(shape - shape.mean(axis=0))
    out = whole[2] * np.sign(whole[2] @ (shape[4] - shape[[127, 356]].mean(axis=0)))  # to the tip of the nose
    inside = shape.mean(axis=0) - out * np.ptp(shape, axis=0).max() * 0.5
    signs = np.sign(np.einsum("pi,pi->p", normals, shape - inside))
    return normals * signs[:, None]


def landmark_tracks(shapes: Float, scatter: Float, visible: Bool) -> Tracks:
    """A track for each frame's landmark that at least two views show.

    Args:
        shapes: `[V,F,P,3]` pixels, nan where no face was found. scatter: `[V,F,P]` pixels. visible: `[V,F,P]`.
    """
    visible = visible & (visible.sum(axis=0) >= 2)
    extent = np.ptp(shapes[..., :2], axis=2).max(axis=-1)
    sigma = np.hypot(SCATTER_FACTOR * scatter, FLOOR * extent[..., None])
    view, frame, point = np.nonzero(visible)
    _, number = np.unique(frame * shapes.shape[2] + point, return_inverse=True)
    return Tracks(view, number, shapes[view, frame, point, :2], sigma[view, frame, point])


def triangulated(rig: Rig, tracks: Tracks) -> Float:
    """The points `[M,3]` of tracks, linearly, by weighted least squares of the distances to their rays."""
    pixels = (tracks.pixels - rig.principal[tracks.view]) / rig.focal[tracks.view, None]
    rays = np.einsum("nji,nj->ni", rig.R[tracks.view], np.c_[pixels, np.ones(len(pixels))])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    centres = -np.einsum("vji,vj->vi", rig.R, rig.t)[tracks.view]
    across = (np.eye(3) - rays[:, :, None] * rays[:, None]) / tracks.sigma[:, None, None] ** 2
    left, right = np.zeros((tracks.count, 3, 3)), np.zeros((tracks.count, 3))
    np.add.at(left, tracks.point, across)
    np.add.at(right, tracks.point, np.einsum("nij,nj->ni", across, centres))
    points: Float = np.linalg.solve(left, right[..., None])[..., 0].astype(np.float64)
    return points
