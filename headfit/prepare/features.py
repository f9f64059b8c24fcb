"""Matching points of the skin between views: SIFT features (Lowe 2004), guided by what is known of the cameras.

Skin has few distinct features, and views of a head rig are 20 to 40 degrees apart: without guidance most matches are
wrong. So only those near the epipolar line, and at the depth of the head, are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.prepare.bundle import Rig, Tracks
from headfit.types import Float, Int

MAX_FEATURES, LEAST_CONTRAST = 3000, 0.01
#: Pictures are enlarged for features, since skin shows small ones only, up to this longest side.
ENLARGED, MAX_ENLARGED_SIDE = 2, 2048
#: A match must be this much nearer than the second nearest.
RATIO = 0.85
#: Largest angle (degrees) at the head between views that are compared.
MAX_ANGLE = 60.0


#: Centre `[3]` and radius.
Ball = tuple[Float, float]


@dataclass(frozen=True)
class Features:
    """Features of one picture: pixels `[N,2]` from the corner, and descriptors `[N,128]` of unit length."""

    pixels: Float
    descriptors: NDArray[np.float32]


def detect(image: NDArray[np.uint8]) -> Features:
    """The features of an RGB image, with local contrast equalised."""
    grey = cv2.createCLAHE(3.0, (8, 8)).apply(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    factor = min(ENLARGED, MAX_ENLARGED_SIDE / max(grey.shape))
    interpolation = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=interpolation)
    points, descriptors = cv2.SIFT.create(MAX_FEATURES, contrastThreshold=LEAST_CONTRAST).detectAndCompute(grey, None)
    if descriptors is None:
        return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    pixels = (np.array([point.pt for point in points]) + 0.5) / factor
    # The root of the normalised histogram compares better: Arandjelovic and Zisserman, Three things, 2012.
    rooted = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return Features(pixels, rooted.astype(np.float32))


def guided_matches(rig: Rig, a: int, b: int, of_a: Features, of_b: Features, ball: Ball, band: float) -> Int:
    """Pairs `[K,2]` of features of two views that are each other's nearest.

    Args:
        rig: the cameras as far as they are known.
        a, b: the views.
        of_a, of_b: their features.
        ball: centre `[3]` and radius of where the points are.
        band: pixels by which a match may be off the epipolar line.
    """
    inside_a, inside_b = (_inside(rig, view, f.pixels, ball, band) for view, f in ((a, of_a), (b, of_b)))
    if not len(inside_a) or not len(inside_b):
        return np.zeros((0, 2), dtype=np.int64)
    start, stop = _epipolar_segments(rig, a, b, of_a.pixels[inside_a], ball)
    along = stop - start
    length = np.linalg.norm(along, axis=1, keepdims=True)
    along = along / np.maximum(length, 1e-9)
    across = np.column_stack([along[:, 1], -along[:, 0]])
    pixels = of_b.pixels[inside_b].T
    forward = along @ pixels - (along * start).sum(axis=1, keepdims=True)
    aside = across @ pixels - (across * start).sum(axis=1, keepdims=True)
    allowed = (np.abs(aside) < band) & (forward > -band) & (forward < length + band)
    likeness = of_a.descriptors[inside_a] @ of_b.descriptors[inside_b].T
    distance = np.where(allowed, 2 - 2 * likeness, np.float32(np.inf))
    rows = np.arange(len(distance))
    nearest, of_column = distance.argmin(axis=1), distance.argmin(axis=0)
    best = distance[rows, nearest]
    mutual = np.isfinite(best) & (of_column[nearest] == rows)
    second = np.minimum(_second(distance, rows, nearest, 1), _second(distance, rows, nearest, 0))
    mutual &= best < RATIO**2 * second
    return np.stack([inside_a[mutual], inside_b[nearest[mutual]]], axis=1)


def _second(distance: NDArray[np.float32], rows: Int, columns: Int, axis: int) -> NDArray[np.float32]:
    """The least other distance in the row (`axis` 1) or column (0) of the entries at `rows`, `columns`."""
    others = distance[rows] if axis == 1 else distance[:, columns].T.copy()
    others[np.arange(len(rows)), columns if axis == 1 else rows] = np.inf
    least: NDArray[np.float32] = others.min(axis=1)
    return least


def _inside(rig: Rig, view: int, pixels: Float, ball: Ball, band: float) -> Int:
    """Indices of the pixels in the picture of the ball."""
    centre, radius = ball
    at = np.array([view])
    depth = rig.to_camera(at, centre[None])[0, 2]
    reach = rig.focal[view] * radius / depth + band
    return np.flatnonzero(np.linalg.norm(pixels - rig.project(at, centre[None]), axis=1) < reach)


def _epipolar_segments(rig: Rig, a: int, b: int, pixels: Float, ball: Ball) -> tuple[Float, Float]:
    """What view b shows of the rays of view a, where they enter and leave the depth of the ball: ends `[N,2]` each."""
    centre, radius = ball
    depth = rig.to_camera(np.array([a]), centre[None])[0, 2]
    rays = np.c_[(pixels - rig.principal[a]) / rig.focal[a], np.ones(len(pixels))]
    views = np.full(len(pixels), b)
    ends = []
    for at in (depth - radius, depth + radius):
        world = (rays * at - rig.t[a]) @ rig.R[a]
        ends.append(rig.project(views, world))
    return ends[0], ends[1]


def feature_tracks(rig: Rig, features: list[list[Features]], balls: list[Ball], band: float) -> Tracks:
    """Tracks of features through the views of each frame; their standard deviation is one pixel.

    Args:
        rig: the cameras as far as they are known.
        features: of each view and frame.
        balls: of each frame the centre and the radius of where the head is.
        band: pixels by which a match may be off the epipolar line.
    """
    view, point, pixels, points = [], [], [], 0
    for frame, ball in enumerate(balls):
        members = _Union()
        for a, b in _near_pairs(rig, ball[0]):
            for i, j in guided_matches(rig, a, b, features[a][frame], features[b][frame], ball, band):
                members.join((a, int(i)), (b, int(j)))
        for track in members.sets():
            if len({v for v, _ in track}) == len(track):  # two features of one view cannot be one point
                view += [v for v, _ in track]
                pixels += [features[v][frame].pixels[i] for v, i in track]
                point += [points] * len(track)
                points += 1
    numbers = np.array([view, point], dtype=np.int64)
    return Tracks(numbers[0], numbers[1], np.array(pixels).reshape(-1, 2), np.ones(len(view)))


def _near_pairs(rig: Rig, centre: Float) -> list[tuple[int, int]]:
    directions = centre + np.einsum("vji,vj->vi", rig.R, rig.t)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    near = directions @ directions.T > np.cos(np.radians(MAX_ANGLE))
    return [(a, b) for a in range(len(near)) for b in range(a + 1, len(near)) if near[a, b]]


class _Union:
    """Disjoint sets."""

    def __init__(self) -> None:
        self.parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(self, item: tuple[int, int]) -> tuple[int, int]:
        self.parent.setdefault(item, item)
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, a: tuple[int, int], b: tuple[int, int]) -> None:
        self.parent[self.root(a)] = self.root(b)

    def sets(self) -> list[list[tuple[int, int]]]:
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for item in self.parent:
            found.setdefault(self.root(item), []).append(item)
        return list(found.values())
