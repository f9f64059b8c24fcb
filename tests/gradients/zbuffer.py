"""A plain z-buffer in numpy that shares no formula with the rasterizer it is compared with.

The rasterizer works on screen, with edge functions and inverse depths. This one works in space: the ray through the
camera and a sample (x, y) is (x, y, 1) s, and a face with corners P_k = (x_k z_k, y_k z_k, z_k) contains the point
s (x, y, 1) = sum b_k P_k. The scalar product with n_k = P_i x P_j isolates one corner each:

    s a_k = b_k det,   a_k = (x, y, 1) . n_k,   det = P_0 . n_0,   so   s = det / sum a,   b_k = a_k / sum a,

and the face is hit in front of the camera where all a_k have the sign of det. This also holds for corners behind it.
"""

from dataclasses import dataclass

import numpy as np

from headfit.raster import NEAR

Array = np.ndarray
TILE = 64  # larger faces are split into tiles of this many samples
CHUNK = 1 << 21  # candidate samples processed together
GOLDEN, PLASTIC = 0.6180339887, 0.7548776662


@dataclass
class Samples:
    """Sample positions: count x count in each pixel of an H x W image, one per sub-cell.

    On a regular lattice, all samples along an edge at 0 or 45 degrees would change at once and finite differences would
    see steps. So each row of samples is shifted horizontally, and each column vertically, by a fraction of a sub-cell;
    multiples of irrational numbers distribute these fractions evenly.
    """

    height: int
    width: int
    count: int

    def __post_init__(self) -> None:
        row, column = np.arange(self.height * self.count)[:, None], np.arange(self.width * self.count)
        self.x = (column + row * GOLDEN % 1) / self.count  # [H count, W count], pixels
        self.y = (row + column * PLASTIC % 1) / self.count


@dataclass
class Rays:
    """A projected mesh, vertices `[V,3]` and faces `[F,3]`, in the form that the module's docstring derives."""

    vertices: Array
    faces: Array

    def __post_init__(self) -> None:
        x, y, z = np.moveaxis(self.vertices[self.faces], -1, 0)
        P = np.stack([x * z, y * z, z], -1)
        self.normals = np.cross(np.roll(P, -1, 1), np.roll(P, -2, 1))  # `[F,3,3]`: n_k of each corner k
        self.det = (P[:, 0] * self.normals[:, 0]).sum(-1)

    def products(self, face: Array, x: Array, y: Array) -> list[Array]:
        """a_k of samples (x, y), of any shape that broadcasts with `face`."""
        n = self.normals[face]
        return [n[..., k, 0] * x + n[..., k, 1] * y + n[..., k, 2] for k in range(3)]


def visible(rays: Rays, samples: Samples) -> Array:
    """The nearest face at each sample `[H count, W count]` int32, -1 for none."""
    rows, columns = samples.x.shape
    nearest, index = np.full(rows * columns, np.inf), np.full(rows * columns, -1, np.int32)
    for face, x0, y0, width, height in _tiles(rays, samples):
        column = x0[:, None, None] + np.arange(width)
        row = y0[:, None, None] + np.arange(height)[:, None]
        at = np.minimum(row, rows - 1) * columns + np.minimum(column, columns - 1)
        f = face[:, None, None]
        a = rays.products(f, samples.x.ravel()[at], samples.y.ravel()[at])
        det = rays.det[f]
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = det / (a[0] + a[1] + a[2])
        hit = (
            (a[0] * det > 0) & (a[1] * det > 0) & (a[2] * det > 0) & (depth > NEAR) & (row < rows) & (column < columns)
        )
        at, depth, f = at[hit], depth[hit], np.broadcast_to(f, at.shape)[hit]
        np.minimum.at(nearest, at, depth)
        wins = (depth == nearest[at]).nonzero()[0]
        index[at[wins]] = f[wins]
    return index.reshape(rows, columns)


def _tiles(rays: Rays, samples: Samples):  # type: ignore[no-untyped-def]
    """Boxes of samples that may see faces: (faces `[n]`, first columns `[n]`, first rows `[n]`, width, height)."""
    rows, columns = samples.x.shape
    corners = rays.vertices[rays.faces]
    in_front = (corners[..., 2] > NEAR).all(1)[:, None]
    limit = np.array([columns, rows])
    low = np.where(in_front, corners[..., :2].min(1) * samples.count, 0).clip(0, limit).astype(np.int64)
    high = np.where(in_front, corners[..., :2].max(1) * samples.count + 1, limit).clip(0, limit).astype(np.int64)
    tiles = np.concatenate([np.arange(len(low))[:, None], low, high - low], 1)
    tiles = tiles[(tiles[:, 3:] > 0).all(1) & (rays.det != 0)]
    for axis in (0, 1):
        parts = -(-tiles[:, 3 + axis] // TILE)
        part = np.arange(parts.sum()) - np.repeat(parts.cumsum() - parts, parts)
        tiles = np.repeat(tiles, parts, 0)
        tiles[:, 1 + axis] += part * TILE
        tiles[:, 3 + axis] = np.minimum(tiles[:, 3 + axis] - part * TILE, TILE)
    size = 1 << np.ceil(np.log2(tiles[:, 3:])).astype(np.int64)  # equal sizes together
    for width, height in np.unique(size, axis=0):
        some = tiles[(size == (width, height)).all(1)]
        for begin in range(0, len(some), chunk := max(1, CHUNK // (width * height))):
            yield (*some[begin : begin + chunk, :3].T, width, height)


def blend(rays: Rays, attributes: Array, face: Array, x: Array, y: Array) -> Array:
    """Attributes `[V,C]` interpolated at the samples `[n]` that see these faces."""
    a = rays.products(face, x, y)
    corners = rays.faces[face]
    total = a[0] + a[1] + a[2]
    return sum((a[k] / total)[:, None] * attributes[corners[:, k]] for k in range(3))
