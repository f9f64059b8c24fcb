"""Derive where MediaPipe's 478 landmarks are on the default head: dense_landmarks.npz next to this file.

    pip install 'headfit[prepare]'
    python models/default/dense_landmarks.py [--picture points.png]

Nothing is picked by hand. Random persons in different expressions are rendered from many sides, the detector of
`headfit prepare` finds its points in each picture, and every head's points are triangulated from the views that they
face. The median over heads of the nearest points of the surface is stored, with the distances that remain. It takes
some ten minutes of one core; ../card.md says what came out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from headfit.capture import Camera
from headfit.capture.triangulate import triangulate
from headfit.head import HeadModel, load
from headfit.modelling.surface_landmarks import SurfaceLandmarks, nearer_side, on_surface, surface_landmarks
from headfit.prepare.face_mesh import LEFT_IRIS, POINT_COUNT, RIGHT_IRIS, FaceMesh
from headfit.prepare.landmark_tracks import facing
from headfit.prepare.wheel import network_files
from headfit.synth.generate import TEXELS_PER_PIXEL, Studio, pose
from headfit.synth.paint import paint
from headfit.synth.performance import KEY_POSES, perform
from headfit.synth.rig import looking_along
from headfit.types import Bool, Float

PERSONS = 6
#: Poses in which lids are closed: there upper and lower lid are one line.
CLOSED_LIDS = tuple(i for i, key in enumerate(KEY_POSES) if key.units.get("eyeBlinkLeft", 0) > 0.5)
YAWS, PITCHES = (-40, -24, -8, 8, 24, 40), (-15, 12)  # degrees
SIDE, DISTANCE, FIELD = 448, 1.2, 0.3  # pixels of a picture; metres to the head, and across the picture there
#: Views disagree about a point up to this share of the face's extent; so many have to agree.
TOLERANCE, MIN_VIEWS = 0.02, 3
#: A point whose spread is larger is left out, metres.
MAX_SPREAD = 0.005
INNER = ("upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity", "left_eye", "right_eye")


def cameras_around(target: Float) -> list[Camera]:
    """Cameras in front of a face, which looks along +z, all looking at `target [3]` (metres)."""
    focal = DISTANCE * SIDE / FIELD
    K = np.array([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1.0]])
    cameras = []
    for yaw, pitch in ((np.deg2rad(yaw), np.deg2rad(pitch)) for yaw in YAWS for pitch in PITCHES):
        away = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        R = looking_along(-away)
        cameras.append(Camera(f"{len(cameras)}", SIDE, SIDE, K, R, -R @ (target + DISTANCE * away)))
    return cameras


def found_in_space(cameras: list[Camera], landmarks: Float) -> Float:
    """The points `[478,3]` of one head, world, metres; nan where fewer than three views that they face agree.

    Args:
        cameras: V of them.
        landmarks: `[V,478,4]`, x, y, z and scatter in pixels; nan where no face was found.
    """
    extent = np.nanmedian(np.ptp(landmarks[..., :2], axis=1).max(axis=-1))
    weights = facing(landmarks[..., :3]) / (1 + np.nan_to_num(landmarks[..., 3]) ** 2)
    found = triangulate(cameras, np.nan_to_num(landmarks[..., :2]), weights, TOLERANCE * extent)
    return np.where((found.inliers.sum(axis=0) >= MIN_VIEWS)[:, None], found.points, np.nan)


def observe(head: HeadModel, detector: FaceMesh) -> tuple[Float, Float]:
    """Vertices `[H,V,3]` of heads, and the points `[H,478,3]` found on them (nan where not), in metres."""
    posed, found = [], []
    with tqdm(total=PERSONS * (len(KEY_POSES) - len(CLOSED_LIDS)), unit="head") as bar:
        for person in range(PERSONS):
            rng = np.random.default_rng(person)
            rest, heads = pose(head, perform(len(KEY_POSES), head, rng))
            studio = Studio(head, paint(head, rest, TEXELS_PER_PIXEL * SIDE // 2, rng), rng)
            for number, vertices in enumerate(heads):
                if number in CLOSED_LIDS:
                    continue
                nose = vertices[head.vertices_of("nose")].mean(0).numpy().astype(np.float64)
                cameras = cameras_around(nose)
                rows = np.full((len(cameras), POINT_COUNT, 4), np.nan)
                for view, camera in enumerate(cameras):
                    rgb, _, _ = studio.photograph(vertices, camera)
                    seen = detector(np.round(rgb.clip(0, 1) * 255).astype(np.uint8))
                    if seen is not None:
                        rows[view] = np.column_stack([seen.points, seen.scatter])
                posed.append(vertices.numpy().astype(np.float64))
                found.append(found_in_space(cameras, rows))
                bar.update()
    return np.stack(posed), np.stack(found)


def faces_with(head: HeadModel, *labels: str) -> Bool:
    """Bool `[F]`: the faces of these labels."""
    mask = np.zeros(len(head.faces), bool)
    mask[head.faces_of(*labels).numpy()] = True
    return mask


def derive(head: HeadModel, posed: Float, found: Float) -> SurfaceLandmarks:
    """All points on the head: irises on their eyeballs, the others on skin and lips."""
    faces = head.faces.numpy().astype(np.int64)
    upper, lower = faces_with(head, "upper_lip"), faces_with(head, "lower_lip")
    allowed = np.tile(~faces_with(head, *INNER), (POINT_COUNT, 1))
    for side, other in ((0, lower), (1, upper)):
        allowed[nearer_side(faces, posed, found, (upper, lower)) == side] &= ~other
    allowed[RIGHT_IRIS], allowed[LEFT_IRIS] = faces_with(head, "right_eye"), faces_with(head, "left_eye")
    return surface_landmarks(head.rest().numpy().astype(np.float64), faces, posed, found, allowed)


def write(points: SurfaceLandmarks, out: Path) -> None:
    """Write the points, whose index is their number among the 478, without those of unknown place or large spread."""
    kept = np.flatnonzero(points.spread <= MAX_SPREAD)
    faces, bary, spread = (values[kept] for values in points)
    np.savez_compressed(
        out,
        dense_landmark_numbers=kept.astype(np.int16),
        dense_landmark_faces=faces.astype(np.int32),
        dense_landmark_bary=bary.astype(np.float32),
        dense_landmark_spread=spread.astype(np.float32),
    )
    low, middle, high = 1000 * np.percentile(spread, (5, 50, 95))
    print(f"{len(kept)} of {POINT_COUNT} points; spread {middle:.2f} mm (5 to 95 %: {low:.2f} to {high:.2f})")


def draw(head: HeadModel, points: SurfaceLandmarks, file: Path) -> None:
    """Write a picture of the head at rest from three sides with the points: green to red by their spread."""
    rng = np.random.default_rng(0)
    rest = head.rest()
    studio = Studio(head, paint(head, rest, TEXELS_PER_PIXEL * SIDE // 2, rng), rng)
    at = on_surface(rest.numpy().astype(np.float64), head.faces.numpy()[points.faces], points.bary)
    sheets = []
    around = cameras_around(rest[head.vertices_of("nose")].mean(0).numpy().astype(np.float64))
    for camera in (around[0], around[len(around) // 2], around[-1]):
        large = camera.scaled(2)
        rgb, _, _ = studio.photograph(rest, large)
        picture = Image.fromarray(np.round(rgb.clip(0, 1) * 255).astype(np.uint8))
        pen = ImageDraw.Draw(picture)
        for (x, y), spread in zip(large.project(at), points.spread, strict=True):
            share = min(spread / MAX_SPREAD, 1.0)
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(int(255 * share), int(255 * (1 - share)), 0))
        sheets.append(np.asarray(picture))
    Image.fromarray(np.hstack(sheets)).save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "dense_landmarks.npz")
    parser.add_argument("--picture", type=Path, help="write a picture of the head with the points")
    arguments = parser.parse_args()
    head = load("default")
    points = derive(head, *observe(head, FaceMesh(network_files())))
    write(points, arguments.out)
    if arguments.picture:
        draw(head, points, arguments.picture)


if __name__ == "__main__":
    main()
