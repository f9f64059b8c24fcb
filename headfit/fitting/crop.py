"""Crop views to the head, so that background is not rendered."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.render import CameraBatch

#: Margin around the head in pixels, and as a share of the image's longer side, in addition to the reach of a blur. The
#: head's border must be inside the window with neighbours on both sides, and only every STRIDE-th vertex is tested.
MARGIN, MARGIN_SHARE = 4, 1 / 64
#: Only every 8th vertex is tested.
STRIDE = 8
#: Window sizes are multiples of this, so that memory freed by one step fits the next.
SIZE_MULTIPLE = 16


def crop_to_head(batch: ViewBatch, cameras: CameraBatch, v_world: Tensor, blur: float) -> tuple[ViewBatch, CameraBatch]:
    """The views and cameras, cropped to windows of one size that contain the head by both mask and model.

    Args:
        batch: B views `[H,W]`; those without a mask are cropped to the model's head.
        cameras: their cameras, at the batch's size.
        v_world: `[B,V,3]` vertices of the model's heads, metres.
        blur: standard deviation (pixels) of the blur that is applied to the windows.

    Outside of the windows both mask and model show background, so the losses do not change. Landmarks and principal
    points are shifted with the images.
    """
    height, width = cameras.size
    full = torch.tensor([width, height], device=v_world.device)
    with torch.no_grad():
        low, high = _head_boxes(batch, cameras.project(v_world[:, ::STRIDE]), full)
    margin = MARGIN + round(MARGIN_SHARE * max(height, width) + 3 * blur)
    low, high = (low - margin).clamp_min(0), (high + margin).minimum(full)
    size = torch.minimum(-(-(high - low).amax(0) // SIZE_MULTIPLE) * SIZE_MULTIPLE, full)
    start = torch.minimum(low, full - size)
    w, h = size.tolist()
    windows = [(slice(y, y + h), slice(x, x + w)) for x, y in start.tolist()]
    images = {
        name: torch.stack([image[window] for image, window in zip(getattr(batch, name), windows, strict=True)])
        for name in ("image", "image_valid", "label_prob", "label_weight", "label_unknown")
    }
    shift = start.to(cameras.K)
    principal = cameras.K - F.pad(shift[..., None], (2, 0, 0, 1))  # cameras may be refined: K keeps its gradient
    return (
        replace(
            batch,
            pairs=batch.pairs,
            framings=batch.framings,
            landmarks=batch.landmarks - shift[:, None],
            dense_landmarks=batch.dense_landmarks - shift[:, None],
            **images,
        ),
        replace(cameras, K=principal, size=(h, w)),
    )


def _head_boxes(batch: ViewBatch, v_pix: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper corners `[B,2]` (x, y; integer pixels inside the image) of the head by mask or model."""
    inside = torch.where(v_pix[..., 2:] > 0, v_pix[..., :2], torch.nan).nan_to_num(0.0)
    low, high = inside.amin(1).floor().long(), inside.amax(1).ceil().long()
    head = (batch.label_weight > 0) & (batch.label_prob[..., 0] < 255)
    for axis, along in ((0, 1), (1, 2)):  # x: any pixel of a column; y: of a row
        any_head = head.any(along)
        first = any_head.byte().argmax(1)
        last = any_head.shape[1] - any_head.flip(1).byte().argmax(1)
        there = any_head.any(1)
        low[:, axis] = torch.where(there, low[:, axis].minimum(first), low[:, axis])
        high[:, axis] = torch.where(there, high[:, axis].maximum(last), high[:, axis])
    low = low.clamp_min(0).minimum(full - 1)
    return low, high.minimum(full).maximum(low + 1)
