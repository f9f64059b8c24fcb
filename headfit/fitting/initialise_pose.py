"""Initial pose and scale of the head: from landmarks where there are some, else from label centroids."""

from __future__ import annotations

import sys

import numpy as np
import torch
from tqdm import tqdm

from headfit.capture import Camera
from headfit.capture.source import CaptureSource
from headfit.errors import HeadfitError
from headfit.fitting.model import FittedHead
from headfit.fitting.placement import Correspondences, Placer
from headfit.head.similarity import robust_similarity
from headfit.types import Float

#: Room around the head in its window, as a share of its size; most frames, and stride of the vertices, that are used;
#: least depth (metres) of a vertex that is projected.
WINDOW_MARGIN, MAX_WINDOW_FRAMES, WINDOW_STRIDE, MIN_DEPTH = 0.5, 64, 16, 0.01


def initialise_pose(model: FittedHead, capture: CaptureSource) -> None:
    """Set pose and scale (kept when the person is known) of every frame, and the trust in every landmark.

    Raises:
        HeadfitError: neither landmarks nor masks show where the head is in any frame, or the head model has neither
            landmarks nor labelled eyes and lips.
    """
    placer = Placer(model.head, model.geometry.rest(), capture, model.training_cameras, model.use_landmarks)
    if not model.use_landmarks and placer.missing_regions:
        raise HeadfitError(
            f"head model {model.config.head}: cannot be placed: without landmarks a fit needs faces labelled "
            f"{', '.join(placer.missing_regions)}. Name 68 landmarks or these labels in the head's YAML "
            "(docs/other-heads.md)."
        )
    found: dict[int, Correspondences] = {}
    frames = range(len(capture.frames))
    for frame in tqdm(frames, desc="place the head", unit="frame", leave=False, disable=None, file=sys.stderr):
        placement = placer.place(frame)
        for camera, trust in placement.trust.items():
            model.landmark_trust[frame, camera] = torch.as_tensor(trust).to(model.landmark_trust)
        if placement.points:
            found[frame] = placement.points
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
    # Of pixels that are not square, their longer side counts: else the picture would lose detail along it.
    focal = np.diag(camera.K)[:2]
    head_size = float(np.median(((high - low) * (focal.min() / focal)).max(1)))
    full = np.array([camera.width, camera.height])
    margin = WINDOW_MARGIN * head_size * focal / focal.min()
    start = np.floor(low.min(0) - margin).clip(0, full - 1)
    stop = np.ceil(high.max(0) + margin).clip(start + 1, full)
    seen = ((low < full) & (high > 0)).all(1).any()
    return (*start, *(stop - start), head_size) if seen else None
