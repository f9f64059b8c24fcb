"""Where the head is before anything is optimised: from landmarks where there are some, else from label centroids."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.capture import Capture, DamagedFile
from headfit.capture.centroids import label_centroids
from headfit.capture.triangulate import triangulate
from headfit.errors import HeadfitError
from headfit.head.contour import CONTOUR
from headfit.head.similarity import robust_similarity

if TYPE_CHECKING:
    from headfit.fitting.module import HeadFit

Float = NDArray[np.float64]

#: The jaw line (iBUG points 0-16) is where each view's outline happens to be, not a point of the skin: it hardly tells
#: where the head is. Later it is compared with the model's outline in each view, along which a detector's points slide.
LANDMARK_WEIGHT = np.r_[np.full(CONTOUR, 0.1), np.ones(68 - CONTOUR)]
OUTLINE_TRUST = 0.2
#: Regions of masks and model by whose centres the head is placed where there are no landmarks.
PLACING_REGIONS = ("left_eye", "right_eye", "lips")


def initialise(fit: HeadFit) -> None:
    """Set pose and scale (kept when the person is known) of every frame, and which landmarks are believed.

    Raises:
        HeadfitError: neither landmarks nor masks show where the head is in any frame, or the head model knows neither
            its landmarks nor its eyes and lips.
    """
    lacking = [] if fit.use_landmarks else _lacking_labels(fit)
    if lacking:
        raise HeadfitError(
            f"head model {fit.config.head}: cannot be placed: without landmarks a fit needs faces labelled "
            f"{', '.join(lacking)}. Name 68 landmarks or these labels in the head's YAML (docs/other-heads.md)."
        )
    capture, cameras = fit.capture, fit.data.training_cameras
    found: dict[int, tuple[Float, Float, Float]] = {}  # frame: model points, world points, weights
    frames = range(len(capture.frames))
    bar = tqdm(frames, desc="place the head", unit="frame", leave=False, disable=None, file=sys.stderr)
    for frame in bar:
        points = _landmark_points(fit, frame, cameras) if fit.use_landmarks else None
        points = points or _label_points(fit, frame, cameras)
        if points:
            found[frame] = points
    if not found:
        raise HeadfitError(
            f"{capture.path}: cannot place the head: no frame has landmarks, or masks with both eyes and the lips, "
            "in two or more cameras. Run `headfit landmarks`, or add masks."
        )
    if fit.config.init_from:
        scale = float(fit.geometry.log_scale.detach().exp())
    else:
        scale = float(np.median([robust_similarity(*points)[0] for points in found.values()]))
    poses = {frame: robust_similarity(*points, scale=scale)[1:] for frame, points in found.items()}
    known = np.array(sorted(poses))
    geometry = fit.geometry
    with torch.no_grad():
        geometry.log_scale.fill_(float(np.log(scale)))
        for frame in frames:
            rotation, translation = poses[int(known[np.abs(known - frame).argmin()])]
            geometry.start_rotation[frame] = torch.as_tensor(rotation)
            geometry.translation[frame] = torch.as_tensor(translation)


def _landmark_points(fit: HeadFit, frame: int, cameras: list[int]) -> tuple[Float, Float, Float] | None:
    """Model and world points of the landmarks that at least two cameras agree on; notes those that disagree."""
    seen = [(camera, read_landmarks(fit.capture, camera, frame)) for camera in cameras]
    seen = [(camera, points) for camera, points in seen if points is not None]
    if len(seen) < 2:
        return None
    points = np.stack([p for _, p in seen if p is not None])
    world, _, agrees = triangulate([fit.capture.cameras[c] for c, _ in seen], points[..., :2], points[..., 2])
    for row, (camera, _) in enumerate(seen):
        fit.landmark_trust[frame, camera] = torch.as_tensor(agrees[row], dtype=torch.float32)
        fit.landmark_trust[frame, camera, :CONTOUR] = OUTLINE_TRUST
    good = agrees.sum(0) >= 2
    if good[17:].sum() < 6:
        return None
    with torch.no_grad():
        model = fit.geometry.landmarks(_rest_head(fit))[0].double().numpy()
    return model[good], world[good], LANDMARK_WEIGHT[good]


def read_landmarks(capture: Capture, camera: int, frame: int) -> Float | None:
    """Landmarks `[68,3]` of one view, or None where there are none or they are damaged."""
    try:
        return capture.landmarks(camera, frame)
    except DamagedFile:
        return None  # the data module counts and reports it when it serves the view


def _label_points(fit: HeadFit, frame: int, cameras: list[int]) -> tuple[Float, Float, Float] | None:
    """Model and world centroids of eyes and lips, as the masks of this frame show them."""
    world = label_centroids(fit.capture, frame, cameras)
    if not set(PLACING_REGIONS) <= set(world) or _lacking_labels(fit):
        return None
    vertices = _rest_head(fit)[0]
    model = {name: _visible_centroid(fit, vertices, name) for name in world}
    names = list(world)
    weight = np.array([0.2 if name == "head" else 1.0 for name in names])
    return np.stack([model[n] for n in names]), np.stack([world[n] for n in names]), weight


def _faces_of(fit: HeadFit, name: str) -> torch.Tensor:
    """Faces `[N,3]` of the model in a region of `label_centroids`."""
    head = fit.geometry.head
    names = {"lips": ("lips", "upper_lip", "lower_lip"), "head": tuple(head.label_names)}.get(name, (name,))
    wanted = torch.tensor([head.label_names.index(n) for n in names if n in head.label_names], dtype=torch.int64)
    return head.faces[torch.isin(head.face_labels, wanted)].long()


def _lacking_labels(fit: HeadFit) -> list[str]:
    """The regions needed to place the head by masks that the head model has no faces for."""
    return [name for name in PLACING_REGIONS if not len(_faces_of(fit, name))]


def _visible_centroid(fit: HeadFit, vertices: torch.Tensor, name: str) -> Float:
    """The model's point for a mask centroid: for eyes the cornea's side of the ball, for lips their faces' mean."""
    chosen = torch.unique(_faces_of(fit, name))
    points = vertices[chosen]
    if name.endswith("_eye"):
        points = points[points[:, 2] > points[:, 2].quantile(0.9)]
    return points.mean(0).double().numpy()


def _rest_head(fit: HeadFit) -> torch.Tensor:
    """Vertices `[1,V,3]` of the head at rest, in the head frame: the mean head, or a person who is known."""
    geometry = fit.geometry
    with torch.no_grad():
        return geometry.head(
            geometry.identity,
            torch.zeros_like(geometry.expression[:1]),
            torch.zeros_like(geometry.joints_raw[:1]),
            offsets=geometry.offsets(),
            placement=geometry.placement,
        )
