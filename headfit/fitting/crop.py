"""Cropping views to the head: what neither mask nor model calls head is not rendered."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.render import CameraBatch

#: Room around the head, in addition to the reach of a blur: its border must lie inside, with neighbours on both sides,
#: and only some vertices are used. In pixels, and as a share of the picture's longer side.
MARGIN, MARGIN_SHARE = 4, 1 / 64
#: Only every 8th vertex is used.
STRIDE = 8
#: Sizes are multiples of this, so that buffers freed in one step fit the next.
SIZE_MULTIPLE = 16


@torch.no_grad()
def crop_to_head(batch: ViewBatch, cameras: CameraBatch, v_world: Tensor, blur: float) -> tuple[ViewBatch, CameraBatch]:
    """Crop every view to a window, of one size for the batch, that contains its head by the mask and by the model.

    Args:
        batch: the views `[B,H,W]`; those without a mask are cropped to the model's head.
        cameras: their cameras, at the batch's size.
        v_world: `[B,V,3]` the model's heads (metres).
        blur: standard deviation (pixels) of the blur that the window leaves room for.

    Outside of the windows both sides show background, so no loss changes. Images, landmarks and principal points move
    together.
    """
    height, width = cameras.size
    full = torch.tensor([width, height], device=v_world.device)
    low, high = _head_boxes(batch, cameras.project(v_world[:, ::STRIDE]), full)
    margin = MARGIN + round(MARGIN_SHARE * max(height, width) + 3 * blur)
    low, high = (low - margin).clamp_min(0), (high + margin).minimum(full)
    size = torch.minimum(-(-(high - low).amax(0) // SIZE_MULTIPLE) * SIZE_MULTIPLE, full)
    start = torch.minimum(low, full - size)
    w, h = size.tolist()
    windows = [(slice(y, y + h), slice(x, x + w)) for x, y in start.tolist()]
    images = {
        name: torch.stack([image[window] for image, window in zip(getattr(batch, name), windows, strict=True)])
        for name in ("image", "image_valid", "label_prob", "label_weight")
    }
    shift = start.to(cameras.K)
    principal = cameras.K.clone()
    principal[:, :2, 2] -= shift
    return (
        replace(batch, framings=batch.framings, landmarks=batch.landmarks - shift[:, None], **images),
        replace(cameras, K=principal, size=(h, w)),
    )


def _head_boxes(batch: ViewBatch, v_pix: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest corners `[B,2]` (x, y; whole pixels in the picture) of what mask or model call head."""
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
