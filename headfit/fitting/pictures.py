"""Pictures of a fit in progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.camera import Camera
from headfit.capture.source import CaptureSource, read_or_none
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced

Picture = NDArray[np.uint8]

#: Longer side of one tile, in pixels.
TILE = 384
#: Colour error (display-coded, 0..1) at which the error map is brightest.
ERROR_RANGE = 0.25
#: Height of the line above a view that says which it is.
CAPTION = 22
MODEL_COLOUR, TARGET_COLOUR = (60, 255, 60), (255, 60, 60)


def fixed_views(frames: list[int], cameras: list[int], count: int = 3, views: int = 3) -> list[tuple[int, list[int]]]:
    """Up to `count` evenly spaced frames, each with up to `views` evenly spaced cameras."""
    chosen = evenly_spaced(len(frames), count)
    spread = evenly_spaced(len(cameras), views)
    return [(frames[f], [cameras[i] for i in spread]) for f in chosen]


@dataclass(frozen=True)
class ViewRow:
    """A view by the names of its frame and camera; picture: target, render, label borders and error side by side."""

    frame: str
    camera: str
    picture: Picture


def view_rows(model: FittedHead, capture: CaptureSource) -> Iterator[ViewRow]:
    """Some views of the frames fitted so far: up to three cameras of up to three frames, in that order."""
    by_angle = sorted(range(len(capture.cameras)), key=lambda i: tuple(model.capture.cameras[i].centre))
    for frame, cameras in fixed_views(model.visited.nonzero()[:, 0].tolist(), by_angle):
        for camera in cameras:
            yield ViewRow(capture.frames[frame], capture.cameras[camera].id, _row(model, capture, frame, camera))


def view_sheets(rows: Sequence[ViewRow]) -> dict[str, Picture]:
    """For each frame a sheet of its rows."""
    frames = dict.fromkeys(row.frame for row in rows)
    return {frame: _stacked([row.picture for row in rows if row.frame == frame]) for frame in frames}


def overview(rows: Sequence[ViewRow]) -> Picture:
    """One sheet with a view of each frame, each from another camera where there are enough; a line above says which."""
    frames = list(dict.fromkeys(row.frame for row in rows))
    of_frame = [[row for row in rows if row.frame == frame] for frame in frames]
    chosen = [views[i % len(views)] for i, views in enumerate(of_frame)]
    return _stacked([picture for row in chosen for picture in (_caption(row), row.picture)])


def _stacked(pictures: Sequence[Picture]) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0))) for p in pictures])


def _caption(row: ViewRow) -> Picture:
    strip = np.zeros((CAPTION, row.picture.shape[1], 3), np.uint8)
    text = f"frame {row.frame}, camera {row.camera}: picture, render, label borders, colour error"
    return np.asarray(
        cv2.putText(strip, text, (4, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    )


def _row(model: FittedHead, capture: CaptureSource, frame: int, index: int) -> Picture:
    full = model.corrected_cameras()[index]
    camera = full.scaled(min(1.0, TILE / full.longest_side))
    image, mask = read_or_none(capture.image, index, frame), read_or_none(capture.mask, index, frame)
    return np.concatenate(view_tiles(model, camera, frame, image, mask), axis=1)


def view_tiles(
    model: FittedHead, camera: Camera, frame: int, image: Picture | None, mask: NDArray[np.uint8] | None
) -> tuple[Picture, Picture, Picture, Picture]:
    """Target, render, label borders (of the mask red, of the model green) and colour error, all at the camera's size.

    Args:
        model: the fit.
        camera: in the fit's local frame.
        frame: index of the frame.
        image: what the camera recorded, at any size; None: grey is shown.
        mask: its mask values, at any size; None: only the model's borders are shown.
    """
    layers = model.render(camera, frame)
    size = camera.size
    target = np.full((*size[::-1], 3), 96, np.uint8) if image is None else resized(image, size)
    rendered = np.where(layers["alpha"][..., None] > 0, layers["rgb"], target)
    overlay = target.copy()
    if mask is not None:
        classes = model.classes.from_capture[cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)]
        overlay[borders(classes)] = TARGET_COLOUR
    classes = np.append(model.classes.from_model, 0)[layers["label"]]
    overlay[borders(np.where(layers["below_neck"], -1, classes))] = MODEL_COLOUR
    error = np.abs(rendered.astype(np.float32) - target).mean(-1) / (255 * ERROR_RANGE)
    heat = cv2.applyColorMap((error.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return target, rendered, overlay, heat


def borders(classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool `[H,W]`: the class differs from that of the right or lower neighbour, and both are known (not -1)."""
    edge = np.zeros(classes.shape, bool)
    for here, near, out in ((classes[:, :-1], classes[:, 1:], edge[:, :-1]), (classes[:-1], classes[1:], edge[:-1])):
        out |= (here != near) & (here >= 0) & (near >= 0)
    return edge


def write_picture(path: Path, image: Picture) -> None:
    """Write an RGB picture, creating its folder if necessary. Raises OSError if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))[1].tobytes())


def resized(image: Picture, size: tuple[int, int]) -> Picture:
    """A picture at another size (width, height), pixels averaged by area."""
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
