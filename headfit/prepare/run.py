"""`headfit prepare`: one step after the other, each only where something is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.native import NativeCapture
from headfit.capture.source import read_or_none
from headfit.prepare.agreement import agreed_landmarks
from headfit.prepare.calibrate import Calibration, calibrate
from headfit.prepare.draft import Draft
from headfit.prepare.face_mesh import DenseLandmarks, FaceMesh
from headfit.prepare.features import Features, detect
from headfit.prepare.landmarks import POINTER, DenseDetector, collect_dense, detect_dense
from headfit.prepare.masks import CONTOURS, PersonSegmentation, mask_of, mask_pointer
from headfit.prepare.scale import Scale, find_scale
from headfit.prepare.time_offsets import find_offsets, mouth_motion
from headfit.prepare.wheel import network_files
from headfit.segmentation.labels import LABELS, write_mask
from headfit.types import Float

#: From an RGB image to how certainly each pixel shows a person.
Segmentation = Callable[[NDArray[np.uint8]], Float]
MASK_FOLDER = "prepared_masks"
NO_FEATURES = Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))


@dataclass(frozen=True)
class Options:
    """What `prepare` does.

    Attributes:
        wheel: the wheel with the networks, if it was downloaded already.
        overwrite: replace landmarks, calibration, offsets and masks that are there.
        separate_lenses: give each camera its own focal length.
        eye_distance: metres between the pupils, if it was measured.
    """

    wheel: Path | None = None
    overwrite: bool = False
    separate_lenses: bool = False
    eye_distance: float | None = None


def prepare(
    path: Path,
    options: Options,
    say: Callable[[str], None] = print,
    detector: DenseDetector | None = None,
    segmentation: Segmentation | None = None,
) -> None:
    """Find landmarks, time offsets, calibration and masks of the capture in `path`, and write them there.

    Args:
        path: the folder.
        options: what to do.
        say: called with each line of the report.
        detector, segmentation: default: MediaPipe's networks.

    Raises:
        HeadfitError: an extra is not installed, or a step finds too little in the pictures.
    """
    draft = Draft(path)
    done: dict[str, Any] = {}
    if detector is None or segmentation is None:
        files = network_files(options.wheel)
        detector, segmentation = detector or FaceMesh(files), segmentation or PersonSegmentation(files)
    draft.open()  # says what is wrong with the manifest
    given = [float(entry.pop("offset", 0)) for entry in draft.content["cameras"]]
    pictures = draft.open()  # without offsets: what is found is stored by the pictures' own names
    say(str(detect_dense(pictures, path, detector, options.overwrite)))
    landmarks = collect_dense(pictures, path)
    has_sparse = any(pictures.has_landmarks(c, f) for c, f in _views(pictures))
    if options.overwrite or not has_sparse:
        draft.point("landmarks", POINTER)
        done["landmarks"] = "478 points of MediaPipe 0.10.14"
    keep_offsets = any(given) and not options.overwrite
    offsets = given if keep_offsets else _offsets(pictures, landmarks, say)
    if not keep_offsets and any(offsets):
        done["offsets"] = "motion of the mouth"
    for entry, offset in zip(draft.content["cameras"], offsets, strict=True):
        if offset:
            entry["offset"] = offset
    if options.overwrite or not draft.calibrated:
        done["calibration"] = _calibrate(draft, pictures, landmarks, offsets, options, say)
    masked = any(pictures.has_mask(c, f) for c, f in _views(pictures))
    if options.overwrite or not masked:
        placed = {camera.id: camera for camera in draft.open().cameras}
        at_once = _shifted(landmarks, offsets)
        agreed = agreed_landmarks([placed.get(camera.id) for camera in pictures.cameras], at_once, CONTOURS)
        _write_masks(pictures, path, _shifted(agreed, [-offset for offset in offsets]), segmentation)
        draft.point("masks", mask_pointer(MASK_FOLDER, LABELS, rough=True))
        done["masks"] = "person segmentation and landmark contours"
        say("masks written")
    draft.content["prepared"] = draft.content.get("prepared", {}) | done
    kept = draft.write()
    say(f"wrote {draft.file}" + (f"; the old one is {kept}" if kept else ""))


def _views(capture: NativeCapture) -> list[tuple[int, int]]:
    return [(camera, frame) for camera in range(len(capture.cameras)) for frame in range(len(capture.frames))]


def _offsets(capture: NativeCapture, landmarks: Float, say: Callable[[str], None]) -> list[float]:
    """Offsets of a frame or more, 0 for the others."""
    found = find_offsets(mouth_motion(landmarks))
    written = []
    for camera, offset in zip(capture.cameras, found, strict=True):
        if offset is not None and abs(offset) > 0.3:
            say(f"camera {camera.id}: late by {offset:.2f} frames")
        written.append(round(offset, 2) if offset is not None and round(offset) else 0.0)
    unknown = [camera.id for camera, offset in zip(capture.cameras, found, strict=True) if offset is None]
    if unknown:
        say(f"no time offset could be found for {', '.join(unknown)}: too few landmarks or too little motion")
    return written


def _shifted(landmarks: Float, offsets: list[float]) -> Float:
    """The landmarks `[V,F,478,4]` of pictures that are late by `offsets` frames, by moment; nan without a picture."""
    frames = landmarks.shape[1]
    together = np.full_like(landmarks, np.nan)
    for view, offset in enumerate(offsets):
        at = np.arange(max(0, -round(offset)), min(frames, frames - round(offset)))
        together[view, at] = landmarks[view, at + round(offset)]
    return together


def _write_masks(capture: NativeCapture, root: Path, landmarks: Float, segmentation: Segmentation) -> None:
    for camera, frame in tqdm(_views(capture), unit="view", desc="masks", leave=False):
        image = read_or_none(capture.image, camera, frame)
        if image is None:
            continue
        dense = landmarks[camera, frame]
        known = bool(np.isfinite(dense[list(CONTOURS), :2]).all())
        mask = mask_of(segmentation(image), DenseLandmarks(dense[:, :3], dense[:, 3], 1.0) if known else None)
        write_mask(root / MASK_FOLDER / capture.cameras[camera].id / f"{capture.frames[frame]}.png", mask)


def _calibrate(
    draft: Draft,
    capture: NativeCapture,
    landmarks: Float,
    offsets: list[float],
    options: Options,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Set the draft's cameras, and return what is to be known about them."""
    late = [round(offset) for offset in offsets]
    frames = len(capture.frames)
    together = _shifted(landmarks, offsets)

    @cache
    def features(view: int, frame: int) -> Features:
        picture = frame + late[view]
        image = read_or_none(capture.image, view, picture) if 0 <= picture < frames else None
        return NO_FEATURES if image is None else detect(image)

    sizes = np.array([camera.size for camera in capture.cameras], dtype=np.float64)
    found = calibrate(together, sizes, features, not options.separate_lenses, say)
    scale = find_scale(found.rig, together, options.eye_distance)
    draft.set_cameras(_cameras(capture, found, scale))
    for view, camera in enumerate(capture.cameras):
        state = "without a pose, left out" if view in found.missing else f"{found.error[view]:.2f} px"
        say(f"camera {camera.id}: {state} ({found.observations[view]} features)")
    error = float(np.nanmedian(found.error))
    say(f"calibration: {error:.2f} px; focal lengths {found.rig.focal.min():.0f} to {found.rig.focal.max():.0f} px")
    say(f"scale from {scale.source}; doubt {100 * scale.doubt:.1f} %")
    return {"error_pixels": round(error, 3), "scale_from": scale.source, "scale_doubt": round(scale.doubt, 4)}


def _cameras(capture: NativeCapture, found: Calibration, scale: Scale) -> list[Camera | None]:
    """The cameras in metres; None for those without a pose."""
    rig, cameras = found.rig, []
    for view, camera in enumerate(capture.cameras):
        (x, y), f = rig.principal[view], rig.focal[view]
        K = np.array([[f, 0.0, x], [0.0, f, y], [0.0, 0.0, 1.0]])
        at = Camera(camera.id, *camera.size, K, rig.R[view], rig.t[view] * scale.metres)
        cameras.append(None if view in found.missing else at)
    return cameras
