"""Initial pose and scale of the head: from landmarks where there are some, else from label centroids."""

from __future__ import annotations

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture import Camera
from headfit.capture.centroids import label_centroids
from headfit.capture.landmark_files import CONTOUR_COUNT, LANDMARK_COUNT
from headfit.capture.source import CaptureSource, read_or_none
from headfit.capture.triangulate import triangulate
from headfit.errors import HeadfitError
from headfit.fitting.model import FittedHead
from headfit.head.similarity import robust_similarity

Float = NDArray[np.float64]
#: Model points, world points and weights by which a head is placed.
Correspondences = tuple[Float, Float, Float]

#: The jaw line (iBUG points 0-16) is where each view's outline happens to be, not a point of the skin, so it says
#: little about where the head is. Later it is compared with the model's outline in each view, along which a detector's
#: points slide.
LANDMARK_WEIGHT = np.r_[np.full(CONTOUR_COUNT, 0.1), np.ones(LANDMARK_COUNT - CONTOUR_COUNT)]
OUTLINE_TRUST = 0.2
#: Fewest landmarks, besides the jaw line, that place a head.
MIN_LANDMARKS = 6
#: Regions of masks and model by whose centroids the head is placed where there are no landmarks.
PLACING_REGIONS = ("left_eye", "right_eye", "lips")
#: Room around the head in its window, as a share of its size; most frames, and stride of the vertices, that are used;
#: least depth (metres) of a vertex that is projected.
WINDOW_MARGIN, MAX_WINDOW_FRAMES, WINDOW_STRIDE, MIN_DEPTH = 0.5, 64, 16, 0.01
#: Weight of the whole head's centroid against that of a region.
HEAD_WEIGHT = 0.2


def initialise_pose(model: FittedHead, capture: CaptureSource) -> None:
    """Set pose and scale (kept when the person is known) of every frame, and the trust in every landmark.

    Raises:
        HeadfitError: neither landmarks nor masks show where the head is in any frame, or the head model has neither
            landmarks nor labelled eyes and lips.
    """
    lacking = [] if model.use_landmarks else _lacking_labels(model)
    if lacking:
        raise HeadfitError(
            f"head model {model.config.head}: cannot be placed: without landmarks a fit needs faces labelled "
            f"{', '.join(lacking)}. Name 68 landmarks or these labels in the head's YAML (docs/other-heads.md)."
        )
    found: dict[int, Correspondences] = {}
    frames = range(len(capture.frames))
    bar = tqdm(frames, desc="place the head", unit="frame", leave=False, disable=None, file=sys.stderr)
    for frame in bar:
        points = _landmark_points(model, capture, frame) if model.use_landmarks else None
        points = points or _label_points(model, capture, frame)
        if points:
            found[frame] = points
    if not found:
        raise HeadfitError(
            f"{capture.location}: cannot place the head: no frame has landmarks, or masks with both eyes and the lips, "
            "in two or more cameras. Run `headfit landmarks`, or add masks."
        )
    if model.config.init_from:
        scale = float(model.geometry.log_scale.detach().exp())
    else:
        scale = float(np.median([robust_similarity(*points)[0] for points in found.values()]))
    _set_poses(model, scale, {f: robust_similarity(*points, scale=scale)[1:] for f, points in found.items()})
    _set_head_windows(model)


@torch.no_grad()
def _set_poses(model: FittedHead, scale: float, poses: dict[int, tuple[Float, Float]]) -> None:
    """Store the scale and each frame's rotation and translation; a frame without takes those of the nearest one."""
    geometry, known = model.geometry, np.array(sorted(poses))
    geometry.log_scale.fill_(float(np.log(scale)))
    for frame in range(len(geometry.translation)):
        rotation, translation = poses[int(known[np.abs(known - frame).argmin()])]
        geometry.start_rotation[frame] = torch.as_tensor(rotation)
        geometry.translation[frame] = torch.as_tensor(translation)


@torch.no_grad()
def _set_head_windows(model: FittedHead) -> None:
    """Store where the head is in each camera's pictures, over all frames, with room for what the fit will move."""
    frames = torch.arange(0, len(model.capture.frames), -(-len(model.capture.frames) // MAX_WINDOW_FRAMES))
    at_rest = model.geometry.rest()[::WINDOW_STRIDE]
    points = model.geometry.to_world(at_rest.expand(len(frames), -1, -1), frames.to(at_rest.device))
    for index, camera in enumerate(model.capture.cameras):
        window = _head_window(camera, points.double().cpu().numpy())
        if window:
            model.head_window[index] = model.head_window.new_tensor(window)


def _head_window(camera: Camera, points: Float) -> tuple[float, ...] | None:
    """x, y, width, height and head size (pixels) for heads `[N,V,3]`; None where the camera does not see them."""
    in_front = camera.to_camera(points)[..., 2] > MIN_DEPTH
    pixels = camera.project(points[in_front.all(1)])
    if not len(pixels):
        return None
    low, high = pixels.min(1), pixels.max(1)
    head_size = float(np.median((high - low).max(1)))
    full = np.array([camera.width, camera.height])
    start = np.floor(low.min(0) - WINDOW_MARGIN * head_size).clip(0, full - 1)
    stop = np.ceil(high.max(0) + WINDOW_MARGIN * head_size).clip(start + 1, full)
    seen = ((low < full) & (high > 0)).all(1).any()
    return (*start, *(stop - start), head_size) if seen else None


def _landmark_points(model: FittedHead, capture: CaptureSource, frame: int) -> Correspondences | None:
    """The landmarks that at least two cameras agree on; stores which ones of each camera do."""
    seen = [(camera, read_or_none(capture.landmarks, camera, frame)) for camera in model.training_cameras]
    seen = [(camera, points) for camera, points in seen if points is not None]
    if len(seen) < 2:
        return None
    points = np.stack([p for _, p in seen if p is not None])
    world, _, agrees = triangulate([capture.cameras[c] for c, _ in seen], points[..., :2], points[..., 2])
    for row, (camera, _) in enumerate(seen):
        model.landmark_trust[frame, camera] = torch.as_tensor(agrees[row]).to(model.landmark_trust)
        model.landmark_trust[frame, camera, :CONTOUR_COUNT] = OUTLINE_TRUST
    good = agrees.sum(0) >= 2
    if good[CONTOUR_COUNT:].sum() < MIN_LANDMARKS:
        return None
    of_model = model.head.landmarks(model.geometry.rest()).double().cpu().numpy()
    return of_model[good], world[good], LANDMARK_WEIGHT[good]


def _label_points(model: FittedHead, capture: CaptureSource, frame: int) -> Correspondences | None:
    """Centroids of eyes and lips, as the masks of this frame show them."""
    world = label_centroids(capture, frame, model.training_cameras)
    if not set(PLACING_REGIONS) <= set(world) or _lacking_labels(model):
        return None
    vertices = model.geometry.rest()
    names = list(world)
    weight = np.array([HEAD_WEIGHT if name == "head" else 1.0 for name in names])
    of_model = np.stack([_visible_centroid(model, vertices, name) for name in names])
    return of_model, np.stack([world[name] for name in names]), weight


def _vertices_of(model: FittedHead, region: str) -> torch.Tensor:
    """Vertices `[N]` of the model in a region of `label_centroids`."""
    head = model.head
    names = {"lips": ("lips", "upper_lip", "lower_lip"), "head": head.label_names}.get(region, (region,))
    return head.vertices_of(*(name for name in names if name in head.label_names))


def _lacking_labels(model: FittedHead) -> list[str]:
    """The regions needed to place the head by masks that the head model has no faces for."""
    return [name for name in PLACING_REGIONS if not len(_vertices_of(model, name))]


def _visible_centroid(model: FittedHead, vertices: torch.Tensor, region: str) -> Float:
    """The model's point for a mask centroid: for eyes the cornea's side of the ball, for others the vertices' mean."""
    points = vertices[_vertices_of(model, region)]
    if region.endswith("_eye"):
        points = points[points[:, 2] > points[:, 2].quantile(0.9)]
    centroid: Float = points.mean(0).double().cpu().numpy()
    return centroid
