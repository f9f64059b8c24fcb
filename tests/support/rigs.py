"""Rigs around a head, and what they observe."""

import cv2
import numpy as np

from headfit.prepare.bundle import Rig, Tracks

SIZE = np.array([400.0, 500.0])


def rig_around(views: int, focal: float = 1200.0, distance: float = 1.0) -> Rig:
    """Cameras 100 degrees around the origin, at different heights; y is down, and they look along z."""
    rotations, translations = [], []
    for view, yaw in enumerate(np.radians(np.linspace(-50, 50, views))):
        pitch = np.radians((-12, 10, 0)[view % 3])
        R = cv2.Rodrigues(np.array([pitch, 0, 0]))[0] @ cv2.Rodrigues(np.array([0, yaw, 0]))[0]
        rotations.append(R)
        translations.append([0.01 * view, -0.01, distance])
    return Rig(np.stack(rotations), np.array(translations), np.full(views, focal), np.tile(SIZE / 2, (views, 1)))


def turned(rig: Rig, degrees: float, rng: np.random.Generator) -> Rig:
    """The rig with each camera turned around the origin by a random rotation of about that angle."""
    vectors = rng.normal(size=(len(rig.R), 3)) * np.radians(degrees)
    turns = np.stack([cv2.Rodrigues(vector)[0] for vector in vectors])
    return Rig(turns @ rig.R, rig.t, rig.focal, rig.principal)


def observed(rig: Rig, points: np.ndarray, noise: float, rng: np.random.Generator) -> Tracks:
    """All points in all views, with noise in pixels."""
    views = np.repeat(np.arange(len(rig.R)), len(points))
    numbers = np.tile(np.arange(len(points)), len(rig.R))
    pixels = rig.project(views, points[numbers])
    return Tracks(views, numbers, pixels + noise * rng.normal(size=pixels.shape), np.ones(len(views)))


def face_points() -> np.ndarray:
    """478 points `[478,3]` of an egg that looks along -z, with eyes 63 mm apart and irises of 11.7 mm."""
    count = np.arange(478) + 0.5
    polar, azimuth = np.arccos(1 - count / 478), np.pi * (1 + 5**0.5) * count
    points = np.column_stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), -np.cos(polar)])
    points *= [0.07, 0.09, 0.08]
    points[[33, 263, 127, 356, 4]] = [
        [-0.045, -0.03, -0.06],
        [0.045, -0.03, -0.06],
        [-0.07, 0, 0],
        [0.07, 0, 0],
        [0, 0, -0.08],
    ]
    for first, x in ((468, -0.0315), (473, 0.0315)):
        r = 0.0117 / 2
        offsets = np.array([[0, 0, 0], [r, 0, 0], [0, -r, 0], [-r, 0, 0], [0, r, 0]])
        points[first : first + 5] = np.array([x, -0.03, -0.068]) + offsets
    return points


def face_landmarks(rig: Rig, frames: int, bias: float, rng: np.random.Generator) -> np.ndarray:
    """Dense landmarks `[V,F,478,4]` of a face that turns a little; `bias` turns each view's towards the front."""
    found = np.empty((len(rig.R), frames, 478, 4))
    for frame in range(frames):
        points = face_points() @ cv2.Rodrigues(np.array([0.03 * frame, 0.02 * frame, 0.0]))[0].T
        for view in range(len(rig.R)):
            turn = cv2.Rodrigues(-bias * cv2.Rodrigues(rig.R[view])[0])[0]
            x = points @ (turn @ rig.R[view]).T + rig.t[view]
            pixels = rig.focal[view] * x[:, :2] / x[:, 2:] + rig.principal[view]
            found[view, frame, :, :2] = pixels + 0.3 * rng.normal(size=pixels.shape)
            found[view, frame, :, 2] = rig.focal[view] * (x[:, 2] - x[:, 2].mean()) / x[:, 2].mean()
            found[view, frame, :, 3] = 0.5
    return found
