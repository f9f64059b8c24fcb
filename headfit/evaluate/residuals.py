"""What a fit leaves unexplained in each view: wrong labels, colour error, image shift, landmarks.

`views.json` in the run folder has the numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from headfit.capture.framing import framings_at
from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.capture.summary import CaptureSummary
from headfit.capture.views import ViewBatch, ViewReader
from headfit.evaluate.image_shift import estimate_shift
from headfit.files import write_atomically
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.render.filters import gaussian_blur

VIEWS = "views.json"
#: Pixels across the head in the pictures that are compared; number of views compared at once, and in total (but at
#: least two of every frame).
RESOLUTION, BATCH_VIEWS, MAX_VIEWS = 256, 16, 1024
#: Blur (pixels at RESOLUTION), so that borders a few pixels apart overlap; of what is blurred, every second pixel of
#: every second row tells the shift as well.
BLUR, EVERY = 2.0, 2
#: Share of a mask's head that the model's below-neck region may cover.
MAX_COVERED = 0.5


@dataclass(frozen=True)
class ViewResiduals:
    """Per view: indices, residuals (nan: not known), shift in the camera's own pixels (nan), size of the head there,
    IoU of the head (nan), error of the landmarks relative to the head's size (nan)."""

    frame: NDArray[np.int64]
    camera: NDArray[np.int64]
    mask: NDArray[np.float64]
    colour: NDArray[np.float64]
    shift: NDArray[np.float64]
    head_size: NDArray[np.float64]
    head_iou: NDArray[np.float64]
    landmark_error: NDArray[np.float64]

    def save(self, run: Path, capture: CaptureSummary) -> None:
        """Write `views.json`: one list per column, with the names of frames and cameras; null where nothing is known.

        wrong_labels is a share of the head; colour_error the mean of the skin in [0, 1]; shifts are pixels of the
        camera; landmark_error a share of the head's size.
        """
        columns = {
            "wrong_labels": self.mask,
            "colour_error": self.colour,
            "shift_x": self.shift[:, 0],
            "shift_y": self.shift[:, 1],
            "head_iou": self.head_iou,
            "landmark_error": self.landmark_error,
        }
        content: dict[str, list[Any]] = {
            "frame": [capture.frames[i] for i in self.frame],
            "camera": [capture.cameras[i].id for i in self.camera],
        }
        for name, values in columns.items():
            content[name] = [round(value, 5) if math.isfinite(value) else None for value in values.tolist()]
        write_atomically(run / VIEWS, json.dumps(content))


def measure_residuals(model: FittedHead, reader: ViewReader) -> ViewResiduals:
    """The residuals of all views that `reader` serves, or for a long capture of some cameras in every frame."""
    framings = framings_at(model.head_windows, RESOLUTION)
    rows = [_compare(model, reader.batch(pairs, framings)) for pairs in tqdm(_plan(model), desc="health", unit="batch")]
    return ViewResiduals(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _plan(model: FittedHead) -> list[list[tuple[int, int]]]:
    """Batches of views (frame, camera): all, or for a long capture some cameras of every frame in turn."""
    cameras, frames = model.capture.cameras, len(model.capture.frames)
    each = min(len(cameras), max(2, MAX_VIEWS // frames))
    pairs = [(f, (f * each + i) % len(cameras)) for f in range(frames) for i in range(each)]
    return [pairs[i : i + BATCH_VIEWS] for i in range(0, len(pairs), BATCH_VIEWS)]


@torch.no_grad()
def _compare(model: FittedHead, batch: ViewBatch) -> tuple[NDArray, ...]:
    """The fields of ViewResiduals for one batch."""
    o = model.observe(batch)
    colours = model.compare_colours(o)
    rendered = model.class_images(o)
    wrong = (1 - (rendered * o.target).sum(-1)) * o.mask_known
    error = (colours.rendered - colours.image).abs().mean(-1)
    lit = colours.lit & model.has_texture
    unknown = error.new_tensor(torch.nan)
    skin_error = [e[where].mean() if where.any() else unknown for e, where in zip(error, lit, strict=True)]
    weight = torch.stack([_inside(o.mask_known)] * 3 + [_inside(lit)], dim=-1)
    shift = EVERY * estimate_shift(
        _blurred(torch.cat([_features(model, rendered), colours.rendered.mean(-1, keepdim=True)], -1)),
        _blurred(torch.cat([_features(model, o.target), colours.image.mean(-1, keepdim=True)], -1)),
        weight[:, ::EVERY, ::EVERY],
    )
    own = 1 / shift.new_tensor([framing.factors for framing in batch.framings])  # picture pixels per compared pixel
    share = (wrong.sum((1, 2)) / o.head_area).where(o.has_mask.flatten(), torch.nan)
    floor = (_head_iou(o, rendered), _landmark_error(model, o))
    numbers = (share, torch.stack(skin_error), shift * own, o.head_area.sqrt() * own.mean(1), *floor)
    return (o.batch.frame.cpu().numpy(), o.batch.camera.cpu().numpy(), *(n.double().cpu().numpy() for n in numbers))


def _head_iou(o: Observation, rendered: Tensor) -> Tensor:
    """IoU `[B]` of the heads of class images `[B,H,W,C]` and masks; NaN without a mask, without any head, or where the
    mask shows no background, and so no outline.

    What lies below the model's neck is left out, unless it covers most of the mask's head: then the model is too high.
    A mask that does not know is taken to show what the model does: of a matte, the share of the model inside it counts.
    """
    background = o.batch.label_prob[..., 0]
    masked = (1 - background / 255) * (o.batch.label_weight == 255)
    covered = (masked * o.fragments.below_neck).sum((1, 2)) > MAX_COVERED * masked.sum((1, 2))
    known = o.mask_known | (o.fragments.below_neck & covered[:, None, None])
    mine = 1 - rendered[..., 0]
    mine, theirs = mine * (o.mask_known | o.batch.label_unknown), masked * known + mine * o.batch.label_unknown
    union = torch.maximum(mine, theirs).sum((1, 2))
    iou = torch.minimum(mine, theirs).sum((1, 2)) / union.clamp_min(1)
    shows_background = ((background > 0) & (o.batch.label_weight > 0)).flatten(1).any(1)
    return iou.where(shows_background & (union >= 1), torch.nan)


def _landmark_error(model: FittedHead, o: Observation) -> Tensor:
    """Median distance `[B]` of the landmarks from the model's, relative to the head's size; nan without landmarks. The
    jaw line is left out."""
    if not model.use_landmarks:
        return o.head_area.new_full((len(o.batch.frame),), torch.nan)
    inner = o.cameras.project(model.head.landmarks(o.v_views)[:, CONTOUR_COUNT:])[..., :2]
    distance = (inner - o.batch.landmarks[:, CONTOUR_COUNT:]).norm(dim=-1)
    seen = o.batch.landmark_weight[:, CONTOUR_COUNT:] > 0
    # View by view: the median along a dimension has no deterministic CUDA kernel.
    medians = torch.stack([of_view.nanmedian() for of_view in distance.where(seen, torch.nan)])
    return medians / o.head_area.sqrt()


def _features(model: FittedHead, classes: Tensor) -> Tensor:
    """Images `[B,H,W,3]` of head, mouth with lips, and eyes, from class images `[B,H,W,C]`: they show a shift best."""
    names = model.classes.names
    eyes = [name.endswith("_eye") for name in names]
    skin = [name in ("background", "skin", "hair") for name in names]
    mouth = [not (a or b) for a, b in zip(eyes, skin, strict=True)]
    head = [name != "background" for name in names]
    return classes @ torch.tensor([head, mouth, eyes], dtype=classes.dtype, device=classes.device).T


def _blurred(image: Tensor) -> Tensor:
    """Every `EVERY`-th pixel along each axis of the blurred `image [B,H,W,C]`."""
    return gaussian_blur(image, BLUR)[:, ::EVERY, ::EVERY]


def _inside(where: Tensor) -> Tensor:
    """Bool `[B,H,W]` without a margin as wide as the blur reaches, as float."""
    radius = round(3 * BLUR)
    outside = F.pad((~where).float(), [radius] * 4, value=1.0)
    rows = F.max_pool2d(outside, (1, 2 * radius + 1), stride=1)
    return (F.max_pool2d(rows, (2 * radius + 1, 1), stride=1) == 0).float()
