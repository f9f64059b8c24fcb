"""A vertex that is picked, and where every camera sees it over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera
from headfit.fitting.pictures import Picture
from headfit.types import Float
from headfit.view import tone
from headfit.view.glb import ColouredSurface

#: Size of a camera's tile, pixels; width, metres at the vertex, that it shows; tiles in a row of the sheet.
TILE, TILE_WIDTH, COLUMNS = 120, 0.05, 3
PAST, FUTURE, NOW, HIDDEN = (90, 170, 255), (255, 190, 90), (255, 255, 255), (255, 80, 80)
#: Size, metres, of what marks the vertex in space.
RADIUS = 1.2e-3
#: How far, metres, in front of a vertex something must be to hide it.
MARGIN = 2e-3


def first_hit(
    origin: Float, direction: Float, vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> tuple[int, float] | None:
    """The vertex of the first face that a ray meets, the nearest of its three, and the distance to the face.

    Moeller and Trumbore, Fast, minimum storage ray/triangle intersection, 1997; both sides of a face are met.

    Args:
        origin: `[3]`.
        direction: `[3]`, unit.
        vertices: `[V,3]`.
        faces: `[F,3]`.

    Returns:
        (index of the vertex, distance), or None if the ray misses.
    """
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    across = np.cross(direction, c - a)
    determinant = np.einsum("fi,fi->f", b - a, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = origin - a
        u = np.einsum("fi,fi->f", offset, across) / determinant
        turned = np.cross(offset, b - a)
        v = turned @ direction / determinant
        distance = np.einsum("fi,fi->f", c - a, turned) / determinant
    met = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    if not met.any():
        return None
    face = int(np.where(met, distance, np.inf).argmin())
    weights = (1 - u[face] - v[face], u[face], v[face])
    return int(faces[face][int(np.argmax(weights))]), float(distance[face])


def is_hidden(camera: Camera, vertex: int, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> bool:
    """Whether another part of the surface lies between a camera and a vertex."""
    ray = vertices[vertex].astype(np.float64) - camera.centre
    distance = float(np.linalg.norm(ray))
    hit = first_hit(camera.centre, ray / distance, vertices, faces)
    return hit is not None and hit[1] < distance - MARGIN


def track_tile(camera: Camera, picture: Picture | None, track: Float, now: int, hidden: bool) -> Picture:
    """A camera's picture `[TILE,TILE,3]` around a vertex, with its way through the frames: past blue, future orange.

    Args:
        camera: the camera.
        picture: what it recorded; None: grey.
        track: positions `[T,3]` of the vertex, world, metres.
        now: index into the track of the frame of the picture.
        hidden: whether the camera does not see the vertex; the cross is red then.
    """
    pixels = camera.project(track)
    depth = float(camera.to_camera(track[now])[2])
    scale = TILE * depth / (TILE_WIDTH * camera.focal)
    shift = TILE / 2 - scale * pixels[now]
    image = np.full((camera.height, camera.width, 3), 96, np.uint8) if picture is None else picture
    # warpAffine counts from the centre of the first pixel, projections from its corner.
    moved = np.array([[scale, 0, shift[0] + (scale - 1) / 2], [0, scale, shift[1] + (scale - 1) / 2]])
    tile = np.ascontiguousarray(cv2.warpAffine(image, moved, (TILE, TILE), flags=cv2.INTER_LINEAR))
    points = np.round((scale * pixels + shift - 0.5) * 16).astype(np.int32)  # 4 fractional bits
    for part, colour in ((points[: now + 1], PAST), (points[now:], FUTURE)):
        cv2.polylines(tile, [part], False, colour, 1, cv2.LINE_AA, 4)
    middle = (TILE // 2, TILE // 2)
    cv2.drawMarker(tile, middle, HIDDEN if hidden else NOW, cv2.MARKER_CROSS, 9, 1)
    cv2.putText(tile, camera.id[:16], (4, TILE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, NOW, 1, cv2.LINE_AA)
    return tile.astype(np.uint8)


def sheet(tiles: Sequence[Picture]) -> Picture:
    """Tiles of one size in rows of `COLUMNS`; the last row is filled up in black."""
    rows = [list(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    rows[-1] += [np.zeros_like(tiles[0])] * (COLUMNS - len(rows[-1]))
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def window(frame: int, count: int, reach: int) -> range:
    """The frames that are at most `reach` away from `frame`, of `count` frames."""
    return range(max(0, frame - reach), min(count, frame + reach + 1))


def marker(vertex: NDArray[np.floating]) -> ColouredSurface:
    """An octahedron around a vertex `[3]`, with `RADIUS`, in the colour `HIDDEN`."""
    corners = np.concatenate([vertex + RADIUS * np.eye(3), vertex - RADIUS * np.eye(3)])
    colour = tone.to_renderer(np.array(HIDDEN, np.float32) / 255)
    faces = np.array(list(product((0, 3), (1, 4), (2, 5))))
    return ColouredSurface(corners.astype(np.float32), np.tile(colour, (6, 1)), faces)
