"""Health of a finished fit: the frames, views and cameras of the capture that it explains badly.

Every fit yields some head. After a good one the residuals are similar everywhere: a view with much higher residuals
than its camera's other views has a wrong image or a lost pose, and a camera with images that are shifted against the
model in most frames has a wrong calibration.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from headfit.capture import CaptureSource, open_capture
from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.capture.manifest import camera_entry
from headfit.capture.source import read_or_none
from headfit.capture.triangulate import triangulate
from headfit.capture.views import ViewReader
from headfit.evaluate.lateness import Lateness, late_by_fractions
from headfit.evaluate.residuals import ViewResiduals, measure_residuals
from headfit.evaluate.verdict import Floor, judge_fit, measure_floor
from headfit.files import write_atomically
from headfit.fitting.face_groups import landmark_distances
from headfit.fitting.fit_masks import with_fit_masks
from headfit.fitting.harm import Harm
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import TENSORBOARD, Run
from headfit.fitting.summaries import write_figures
from headfit.sampling import evenly_spaced

HEALTH, CAMERAS = "health.json", "cameras.json"
#: Maximum number of entries of a kind in the printed summary; the file has all.
MAX_LISTED = 8
#: A view is badly explained when a residual is this many times what is usual for its camera and its frame, and lies
#: this many standard deviations (robust, of the logarithm, over all views) above it.
HIGH_RATIO, HIGH_SIGMAS = {"mask": 1.8, "colour": 1.4}, 8.0
#: Residuals are clamped to these from below: ratios of smaller ones are meaningless.
MIN_RESIDUAL = {"mask": 0.005, "colour": 0.004}
#: A camera is flagged when its median image shift exceeds OFF_SHARE of the head's size and OFF_SIGMAS standard errors,
#: and is at least half the worst camera's shift (which biases the others).
OFF_SHARE, OFF_SIGMAS = 0.006, 4.0
#: Every 50th vertex says how far a correction moves the head.
CORRECTION_STRIDE = 50
#: Number of frames whose landmarks say how far off a camera is; least number of views of one that are triangulated.
LANDMARK_FRAMES, MIN_LANDMARK_VIEWS = 12, 4


@dataclass(frozen=True)
class HighResidual:
    """A frame with badly explained views. The residuals are multiples of what is usual for the camera, in the worst
    view: of the share of the head with a wrong label, and of the mean colour error of the skin (0: not known)."""

    frame: str
    cameras: list[str]
    mask: float
    colour: float


@dataclass(frozen=True)
class CameraOffset:
    """How far a camera's pictures are shifted against the model: median over its views, in its own pixels, x to the
    right and y down; `spread` is the robust standard deviation of one view. off: more than a fit's own errors explain.

    A fit bends the head to please a camera that is off, which hides most of the offset. So `landmarks` says where the
    camera's landmarks lie relative to the other cameras' triangulation (median x, y); None: not measured.
    corrected: by how much the fit corrected the camera: rms over the head, pixels of its own pictures.
    late: how many frames its pictures are late; None: not measured."""

    camera: str
    x: float
    y: float
    spread: float
    views: int
    off: bool
    landmarks: tuple[float, float] | None
    corrected: float
    late: Lateness | None

    @property
    def out_of_time(self) -> bool:
        """Whether its pictures were taken later or earlier than the others'."""
        return self.late is not None and self.late.significant


@dataclass(frozen=True)
class Health:
    """What `headfit fit` says at its end. verdict, floor: see `verdict`. landmarks_mm: distance of the parts of the
    face from the triangulated landmarks. harmful: stages that made the face worse. ignored: files left out, by kind."""

    verdict: str
    floor: Floor
    landmarks_mm: dict[str, float]
    harmful: list[Harm]
    views: int
    ignored: dict[str, list[str]]
    frames: list[HighResidual]
    cameras: list[CameraOffset]

    def save(self, run: Path) -> None:
        """Write `health.json`."""
        write_atomically(run / HEALTH, json.dumps(asdict(self), indent=1))


def examine(run: Run, capture: CaptureSource) -> tuple[Health, ViewResiduals]:
    """The health of a run, and the residuals that it follows from: the fitted model is compared with the capture's
    pictures, held-out cameras included.

    `capture` has the run's frames and cameras, in its order.
    """
    capture = with_fit_masks(capture, run.model, run.path)
    reader = ViewReader(capture, run.model.classes, cache_bytes=0)
    views = measure_residuals(run.model, reader)
    ignored = {kind: list(files) for kind, files in run.skipped.items()}
    for kind, files in reader.skipped.items():
        ignored[kind] = list(dict.fromkeys(ignored.get(kind, []) + files))
    frames, cameras = _high_residuals(run.model, views), _camera_offsets(run.model, capture, views)
    floor = measure_floor(views.head_iou, views.landmark_error)
    off = sum(camera.off or camera.out_of_time for camera in cameras)
    parts = landmark_distances(run.model, capture)
    health = Health(
        verdict=judge_fit(floor, parts, run.harmful, len(frames), off, sum(map(len, ignored.values()))),
        floor=floor,
        landmarks_mm=parts,
        harmful=run.harmful,
        views=len(views.frame),
        ignored=ignored,
        frames=frames,
        cameras=cameras,
    )
    return health, views


def report_health(run: Run, capture: CaptureSource | None = None) -> str:
    """Examine a run against its capture, print the summary, and keep it in `health.json` and TensorBoard.

    The residuals of every view are written to `views.json`. The corrected cameras, in metres and as entries of a
    capture.json, are written to `cameras.json`.

    Args:
        run: the fit.
        capture: the capture that it was fitted to; None: it is where it was then.

    Returns:
        The verdict.
    """
    health, views = examine(run, capture or open_capture(run.args.capture, run.args.selection))
    health.save(run.path)
    views.save(run.path, run.model.capture)
    cameras = [run.model.capture.world.world_camera(camera) for camera in run.model.corrected_cameras()]
    corrected = {"units": "m", "cameras": [camera_entry(camera) for camera in cameras]}
    write_atomically(run.path / CAMERAS, json.dumps(corrected, indent=1))
    summary = format_health(health)
    print(summary)
    figures = {
        "head_iou": health.floor.head_iou,
        "overlapping": health.floor.overlapping,
        "landmark_error": health.floor.landmark_error,
        "frames_with_high_residual": len(health.frames),
        "cameras_off": sum(camera.off for camera in health.cameras),
    }
    write_figures(run.path, {f"health/{name}": value for name, value in figures.items()})
    with SummaryWriter(str(run.path / TENSORBOARD)) as writer:
        writer.add_text("health", "```\n" + summary + "\n```", 0)
    return health.verdict


def _high_residuals(model: FittedHead, views: ViewResiduals) -> list[HighResidual]:
    ratios = {}
    high = np.zeros(len(views.frame), bool)
    for name in ("mask", "colour"):
        log = np.log(np.maximum(getattr(views, name), MIN_RESIDUAL[name]))
        log = log - _median_of_group(log, views.camera)
        ratios[name] = np.nan_to_num(np.exp(log))
        if not np.isfinite(log).any():
            continue  # no mask, or no colour yet, in the whole capture
        of_frame = _median_of_group(log, views.frame)
        for usual in (log - of_frame, of_frame - np.nanmedian(of_frame)):  # one view of the frame, or the whole frame
            sigma = 1.4826 * np.nanmedian(np.abs(usual))
            high |= np.nan_to_num(usual) > max(np.log(HIGH_RATIO[name]), HIGH_SIGMAS * sigma)
    return [
        HighResidual(
            frame=model.capture.frames[frame],
            cameras=[model.capture.cameras[c].id for c in sorted(views.camera[high & (views.frame == frame)])],
            mask=round(float(ratios["mask"][high & (views.frame == frame)].max()), 2),
            colour=round(float(ratios["colour"][high & (views.frame == frame)].max()), 2),
        )
        for frame in np.unique(views.frame[high])
    ]


def _median_of_group(values: NDArray, group: NDArray) -> NDArray:
    """The median of each value's group. NaNs are ignored; a group of NaNs only has NaN."""
    medians = np.full(len(values), np.nan)
    for key in np.unique(group[np.isfinite(values)]):
        medians[group == key] = np.nanmedian(values[group == key])
    return medians


def _camera_offsets(model: FittedHead, capture: CaptureSource, views: ViewResiduals) -> list[CameraOffset]:
    by_landmarks = _landmark_offsets(model, capture)
    late = late_by_fractions(model, capture, views)
    corrections = model.cameras.corrected(model.capture.cameras)
    points = model.vertices(0)[::CORRECTION_STRIDE].double().cpu().numpy()
    offsets = []
    for index, camera in enumerate(model.capture.cameras):
        chosen = (views.camera == index) & np.isfinite(views.shift).all(1)
        if not chosen.any():
            continue
        shift = views.shift[chosen]
        middle = np.median(shift, axis=0)
        spread = 1.4826 * float(np.median(np.linalg.norm(shift - middle, axis=1)))
        size, count = float(np.linalg.norm(middle)), len(shift)
        allowed = max(OFF_SHARE * float(np.median(views.head_size[chosen])), OFF_SIGMAS * spread / math.sqrt(count))
        x, y = middle.round(2).tolist()
        moved = np.linalg.norm(corrections[index].project(points) - camera.project(points), axis=-1)
        corrected = round(float(np.sqrt((moved**2).mean())), 2)
        measured = (by_landmarks.get(index), corrected, late.get(index))
        offsets.append(CameraOffset(camera.id, x, y, round(spread, 2), count, size > allowed, *measured))
    worst = max((math.hypot(o.x, o.y) for o in offsets if o.off), default=0.0)
    return [replace(o, off=o.off and math.hypot(o.x, o.y) >= worst / 2) for o in offsets]


def _landmark_offsets(model: FittedHead, capture: CaptureSource) -> dict[int, tuple[float, float]]:
    """Per camera with landmarks: their offset from what the other cameras' landmarks triangulate to (pixels,
    median over points and some frames). The jaw line is left out: its points are not fixed on the skin."""
    found: dict[int, list[NDArray]] = {}
    frames = evenly_spaced(len(capture.frames), LANDMARK_FRAMES).tolist()
    for frame in frames if model.config.use_landmarks else ():
        seen = {
            c: p[CONTOUR_COUNT:]
            for c in range(len(capture.cameras))
            if (p := read_or_none(capture.landmarks, c, frame)) is not None
        }
        for camera, points in seen.items() if len(seen) >= MIN_LANDMARK_VIEWS else ():
            others = [c for c in seen if c != camera]
            stacked = np.stack([seen[c] for c in others])
            world, _, agree = triangulate([capture.cameras[c] for c in others], stacked[..., :2], stacked[..., 2])
            sure = (agree.sum(0) >= 3) & (points[:, 2] > 0)
            found.setdefault(camera, []).append(points[sure, :2] - capture.cameras[camera].project(world[sure]))
    offsets = {camera: np.concatenate(rows) for camera, rows in found.items()}
    medians = {camera: np.median(rows, axis=0).round(2).tolist() for camera, rows in offsets.items() if len(rows)}
    return {camera: (x, y) for camera, (x, y) in medians.items()}


def format_health(health: Health) -> str:
    """The summary as text for a terminal."""
    ignored = sum(map(len, health.ignored.values()))
    off = [camera for camera in health.cameras if camera.off]
    lines = [
        f"health: {health.verdict}",
        f"  {health.views} views compared, {ignored} files ignored, {len(health.frames)} frames with high "
        f"residual, {len(off)} of {len(health.cameras)} cameras look off",
    ]
    if health.landmarks_mm:
        parts = ", ".join(f"{name} {distance:.1f}" for name, distance in health.landmarks_mm.items())
        lines.append(f"  from the triangulated landmarks, in mm: {parts}")
    lines += [f"  {harm}" for harm in health.harmful]
    largest = max((camera.corrected for camera in health.cameras), default=0.0)
    if largest:
        median = float(np.median([camera.corrected for camera in health.cameras]))
        lines.append(f"  cameras corrected by {median:.2f} px (median; at most {largest:.2f}), see {CAMERAS}")
    for kind, files in health.ignored.items():
        lines.append(f"  {len(files)} {kind}:")
        lines += [f"    {file}" for file in files[:MAX_LISTED]]
        lines += [f"    and {len(files) - MAX_LISTED} more, see {HEALTH}"] if len(files) > MAX_LISTED else []
    lines += [
        f"  frame {frame.frame}: {', '.join(frame.cameras)}: wrong labels x{frame.mask:.1f}, "
        f"colour error x{frame.colour:.1f} of what is usual there: a wrong picture, or a pose that was not found"
        for frame in health.frames[:MAX_LISTED]
    ]
    lines += (
        [f"  and {len(health.frames) - MAX_LISTED} more frames, see {HEALTH}"]
        if len(health.frames) > MAX_LISTED
        else []
    )
    lines += [f"  camera {camera.camera}: {_where(camera)}: check its calibration" for camera in off]
    lines += [
        f"  camera {camera.camera}: its pictures are {abs(camera.late.frames):.2f} frames "
        f"{'late' if camera.late.frames > 0 else 'early'} (standard error {camera.late.error:.2f}): check its trigger"
        for camera in health.cameras
        if camera.late is not None and camera.late.significant
    ]
    return "\n".join(lines)


def _where(camera: CameraOffset) -> str:
    text = f"its pictures lie {_offset(camera.x, camera.y)} from the model in {camera.views} views"
    if camera.landmarks:
        text += f", its landmarks {_offset(*camera.landmarks)} from where the other cameras put them"
    return text


def _offset(x: float, y: float) -> str:
    return f"{math.hypot(x, y):.1f} px (x {x:+.1f}, y {y:+.1f})"
