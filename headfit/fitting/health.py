"""Where a finished fit explains its capture badly: frames, views and cameras that a person should look at.

A fit always ends in some head. What tells a good one from a bad one is whether the residuals that are left are the same
everywhere: a view that is explained much worse than its camera's other views shows a wrong picture or a lost pose, and
a camera whose pictures lie beside the model in frame after frame has a wrong calibration.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from headfit.capture.triangulate import triangulate
from headfit.fitting.initialise import read_landmarks
from headfit.fitting.losses import gaussian_blur
from headfit.fitting.shift import picture_shift

if TYPE_CHECKING:
    from headfit.fitting.module import HeadFit

HEALTH = "health.json"
#: Entries of a kind that the printed summary names; the file holds all.
LISTED = 8
#: Longer side, in pixels, of the pictures that are compared; views compared at once, and at most over the capture
#: (but two of every frame).
RESOLUTION, VIEWS, MOST_VIEWS = 256, 16, 1024
#: Blur (pixels at RESOLUTION) that lets borders some pixels apart find each other.
BLUR = 2.0
#: A view is badly explained when a residual is this many times what is usual for its camera and its frame, and lies
#: this many standard deviations (robust, of the logarithm, over all views) above it.
HIGH_RATIO, HIGH_SIGMAS = {"mask": 1.8, "colour": 1.4}, 8.0
#: Residuals below these are as good as none: ratios of less mean nothing.
LEAST = {"mask": 0.005, "colour": 0.004}
#: A camera is off when its pictures lie further from the model than this share of the head's size in them, by more
#: than this many standard errors, and at least half as far as the worst camera's: the fit meets that one half-way.
OFF_SHARE, OFF_SIGMAS = 0.006, 4.0
#: Frames whose landmarks say how far off a camera is.
LANDMARK_FRAMES = 12


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
    """Where a camera's pictures lie relative to the model: median over its views, in its own pixels, x to the right and
    y down; `spread` is the robust standard deviation of one view. off: more than a fit's own errors explain.

    A fit bends the head to please a camera that is off, which hides most of the offset. So `landmarks` says where the
    camera's landmarks lie relative to the other cameras' triangulation (median x, y); None: not measured."""

    camera: str
    x: float
    y: float
    spread: float
    views: int
    off: bool
    landmarks: tuple[float, float] | None


@dataclass(frozen=True)
class Health:
    """What `headfit fit` says at its end. ignored: files left out, by kind."""

    views: int
    ignored: dict[str, list[str]]
    frames: list[HighResidual]
    cameras: list[CameraOffset]

    def save(self, run: Path) -> None:
        """Write `health.json`."""
        (run / HEALTH).write_text(json.dumps(asdict(self), indent=1))


@dataclass(frozen=True)
class _Views:
    """Per view: indices, residuals (nan: not known), shift in the camera's own pixels (nan), size of the head there."""

    frame: NDArray[np.int64]
    camera: NDArray[np.int64]
    mask: NDArray[np.float64]
    colour: NDArray[np.float64]
    shift: NDArray[np.float64]
    head_size: NDArray[np.float64]


def examine(fit: HeadFit) -> Health:
    """Compare the fitted model with the capture's pictures, held-out cameras included."""
    views = _measure(fit)
    return Health(
        views=len(views.frame),
        ignored={kind: list(files) for kind, files in fit.data.skipped.items()},
        frames=_high_residuals(fit, views),
        cameras=_camera_offsets(fit, views),
    )


def _measure(fit: HeadFit) -> _Views:
    capture = fit.capture
    longest = max(max(camera.width, camera.height) for camera in capture.cameras)
    rows = [_compare(fit, pairs, min(1.0, RESOLUTION / longest)) for pairs in _plan(fit)]
    return _Views(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _plan(fit: HeadFit) -> list[list[tuple[int, int]]]:
    """Batches of views (frame, camera) of one size: all, or of a long capture some cameras of every frame in turns."""
    cameras = fit.capture.cameras
    each = min(len(cameras), max(2, MOST_VIEWS // len(fit.capture.frames)))
    pairs = [(f, (f * each + i) % len(cameras)) for f in range(len(fit.capture.frames)) for i in range(each)]
    by_size: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for frame, camera in pairs:
        by_size.setdefault((cameras[camera].width, cameras[camera].height), []).append((frame, camera))
    return [views[i : i + VIEWS] for views in by_size.values() for i in range(0, len(views), VIEWS)]


@torch.no_grad()
def _compare(fit: HeadFit, pairs: list[tuple[int, int]], scale: float) -> tuple[NDArray, ...]:
    """The fields of _Views for one batch."""
    batch = fit.data.view_batch(pairs, scale)
    frames, frame_of_view = torch.unique(batch.frame, return_inverse=True)
    v_frames, _ = fit.geometry(frames)
    seen = fit.renderer.see(v_frames[frame_of_view], fit.view_cameras(batch))
    target = batch.label_prob.float() / 255
    colours = fit.compare_colours(batch, seen, fit.renderer.normals(v_frames)[frame_of_view], target)
    rendered = fit.renderer.label_probabilities(seen, fit.class_of_label, len(fit.classes))
    known = (batch.label_weight == 255) & ~seen.beyond
    head = ((1 - target[..., 0]) * known).sum((1, 2))
    wrong = (1 - (rendered * target).sum(-1)) * known
    error = (colours.rendered - colours.image).abs().mean(-1)
    lit = colours.lit & fit.has_texture
    unknown = error.new_tensor(torch.nan)
    skin_error = [e[where].mean() if where.any() else unknown for e, where in zip(error, lit, strict=True)]
    weight = torch.stack([_inside(known)] * 3 + [_inside(lit)], dim=-1)
    shift = picture_shift(
        gaussian_blur(torch.cat([_features(fit, rendered), colours.rendered.mean(-1, keepdim=True)], -1), BLUR),
        gaussian_blur(torch.cat([_features(fit, target), colours.image.mean(-1, keepdim=True)], -1), BLUR),
        weight,
    )
    own = fit.capture.cameras[pairs[0][1]].width / batch.image.shape[2]
    head_size = torch.where(head > 0, head, seen.head.sum((1, 2)).to(head)).sqrt()
    share = torch.where(head > 0, wrong.sum((1, 2)) / head.clamp_min(1), torch.nan)
    numbers = (share, torch.stack(skin_error), shift * own, head_size * own)
    return (batch.frame.numpy(), batch.camera.numpy(), *(n.double().numpy() for n in numbers))


def _features(fit: HeadFit, classes: Tensor) -> Tensor:
    """What of class images `[B,H,W,C]` shows a shift best: head, mouth with lips, and eyes, as `[B,H,W,3]`."""
    names = fit.classes.names
    eyes = [name.endswith("_eye") for name in names]
    skin = [name in ("background", "skin") for name in names]
    mouth = [not (a or b) for a, b in zip(eyes, skin, strict=True)]
    head = [name != "background" for name in names]
    return classes @ torch.tensor([head, mouth, eyes], dtype=classes.dtype).T


def _inside(where: Tensor) -> Tensor:
    """Bool `[B,H,W]` without a margin as wide as the blur reaches, as float."""
    radius = round(3 * BLUR)
    outside = F.pad((~where).float(), [radius] * 4, value=1.0)
    rows = F.max_pool2d(outside, (1, 2 * radius + 1), stride=1)
    return (F.max_pool2d(rows, (2 * radius + 1, 1), stride=1) == 0).float()


def _high_residuals(fit: HeadFit, views: _Views) -> list[HighResidual]:
    ratios = {}
    high = np.zeros(len(views.frame), bool)
    for name in ("mask", "colour"):
        log = np.log(np.maximum(getattr(views, name), LEAST[name]))
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
            frame=fit.capture.frames[frame],
            cameras=[fit.capture.cameras[c].id for c in sorted(views.camera[high & (views.frame == frame)])],
            mask=round(float(ratios["mask"][high & (views.frame == frame)].max()), 2),
            colour=round(float(ratios["colour"][high & (views.frame == frame)].max()), 2),
        )
        for frame in np.unique(views.frame[high])
    ]


def _median_of_group(values: NDArray, group: NDArray) -> NDArray:
    """For every value the median of its group; nan stays out, and a group of nothing else has nan."""
    medians = np.full(len(values), np.nan)
    for key in np.unique(group[np.isfinite(values)]):
        medians[group == key] = np.nanmedian(values[group == key])
    return medians


def _camera_offsets(fit: HeadFit, views: _Views) -> list[CameraOffset]:
    by_landmarks = _landmark_offsets(fit)
    offsets = []
    for index, camera in enumerate(fit.capture.cameras):
        chosen = (views.camera == index) & np.isfinite(views.shift).all(1)
        if not chosen.any():
            continue
        shift = views.shift[chosen]
        middle = np.median(shift, axis=0)
        spread = 1.4826 * float(np.median(np.linalg.norm(shift - middle, axis=1)))
        size, count = float(np.linalg.norm(middle)), len(shift)
        allowed = max(OFF_SHARE * float(np.median(views.head_size[chosen])), OFF_SIGMAS * spread / math.sqrt(count))
        x, y = middle.round(2).tolist()
        offsets.append(CameraOffset(camera.id, x, y, round(spread, 2), count, size > allowed, by_landmarks.get(index)))
    worst = max((math.hypot(o.x, o.y) for o in offsets if o.off), default=0.0)
    return [replace(o, off=o.off and math.hypot(o.x, o.y) >= worst / 2) for o in offsets]


def _landmark_offsets(fit: HeadFit) -> dict[int, tuple[float, float]]:
    """Per camera with landmarks: where they lie relative to what the other cameras' landmarks triangulate to (pixels,
    median over points and some frames). The jaw line is left out: it is no point of the skin."""
    capture = fit.capture
    found: dict[int, list[NDArray]] = {}
    frames = np.unique(np.linspace(0, len(capture.frames) - 1, LANDMARK_FRAMES).astype(int))
    for frame in frames if fit.config.use_landmarks else ():
        seen = {c: p[17:] for c in range(len(capture.cameras)) if (p := read_landmarks(capture, c, frame)) is not None}
        for camera, points in seen.items() if len(seen) >= 4 else ():
            others = [c for c in seen if c != camera]
            stacked = np.stack([seen[c] for c in others])
            world, _, agree = triangulate([capture.cameras[c] for c in others], stacked[..., :2], stacked[..., 2])
            sure = (agree.sum(0) >= 3) & (points[:, 2] > 0)
            found.setdefault(camera, []).append(points[sure, :2] - capture.cameras[camera].project(world[sure]))
    offsets = {camera: np.concatenate(rows) for camera, rows in found.items()}
    medians = {camera: np.median(rows, axis=0).round(2).tolist() for camera, rows in offsets.items() if len(rows)}
    return {camera: (x, y) for camera, (x, y) in medians.items()}


def format_health(health: Health) -> str:
    """The summary as a short table for a terminal."""
    ignored = sum(map(len, health.ignored.values()))
    off = [camera for camera in health.cameras if camera.off]
    lines = [
        f"health: {health.views} views compared, {ignored} files ignored, {len(health.frames)} frames with high "
        f"residual, {len(off)} of {len(health.cameras)} cameras look off"
    ]
    for kind, files in health.ignored.items():
        lines.append(f"  {len(files)} {kind}:")
        lines += [f"    {file}" for file in files[:LISTED]]
        lines += [f"    and {len(files) - LISTED} more, see {HEALTH}"] if len(files) > LISTED else []
    lines += [
        f"  frame {frame.frame}: {', '.join(frame.cameras)}: wrong labels x{frame.mask:.1f}, "
        f"colour error x{frame.colour:.1f} of what is usual there: a wrong picture, or a pose that was not found"
        for frame in health.frames[:LISTED]
    ]
    lines += [f"  and {len(health.frames) - LISTED} more frames, see {HEALTH}"] if len(health.frames) > LISTED else []
    lines += [f"  camera {camera.camera}: {_where(camera)}: check its calibration" for camera in off]
    return "\n".join(lines)


def _where(camera: CameraOffset) -> str:
    text = f"its pictures lie {_offset(camera.x, camera.y)} from the model in {camera.views} views"
    if camera.landmarks:
        text += f", its landmarks {_offset(*camera.landmarks)} from where the other cameras put them"
    return text


def _offset(x: float, y: float) -> str:
    return f"{math.hypot(x, y):.1f} px (x {x:+.1f}, y {y:+.1f})"
