"""How far each view's mask is trusted: one that disagrees with the model far more than comparable ones do is wrong.

A mask of another frame, or with labels mixed up, pulls with all its weight. Views of one frame show one expression, and
views of one camera one side of the head: a mask is compared with both. So an open mouth that is not fitted yet, which
all cameras see, makes no mask wrong, nor does an ear that one camera sees in all frames.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from headfit.capture.data import CaptureData
from headfit.capture.framing import framings_at
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.types import Float

#: Pixels across the head; views that are rendered at once; most views that are judged, evenly spaced ones.
RESOLUTION, BATCH_VIEWS, MAX_VIEWS = 128, 16, 512
#: Multiple of what is usual up to which a mask counts in full (right masks: at most 2.7 for a mean head that has
#: only found its pose, 2.0 later, 1.5 in the end). Beyond, it counts by the ratio to this power.
FULL_TRUST, POWER = 3.0, -4.0
#: Below it, a trust in float32 would divide by nothing.
LEAST_TRUST = 1e-6
#: Least mask loss that is called usual: ratios to smaller ones mean nothing. Least number of views for a median.
MIN_USUAL, MIN_VIEWS = 0.02, 3


@torch.no_grad()
def judge_masks(model: FittedHead, data: CaptureData, frames: Sequence[int]) -> int:
    """Set `model.mask_trust` for the training views of `frames`, by the mask loss of the model as it is.

    Returns:
        The number of views whose mask does not count in full.
    """
    every = [(frame, camera) for frame in frames for camera in data.training_cameras]
    if not every:
        return 0
    pairs = [every[i] for i in evenly_spaced(len(every), MAX_VIEWS)]
    plan = [pairs[i : i + BATCH_VIEWS] for i in range(0, len(pairs), BATCH_VIEWS)]
    loss = np.full(model.mask_trust.shape, np.nan)
    batches = data.batches(plan, framings_at(model.head_windows, RESOLUTION))
    for batch in tqdm(batches, total=len(plan), desc="masks", unit="batch", leave=False, disable=None, file=sys.stderr):
        o = model.observe(batch, crop_blur=0.0)
        share = ((model.label_loss(o) * o.mask_known).sum((1, 2)) / o.head_area).where(o.has_mask.flatten(), torch.nan)
        for (frame, camera), value in zip(batch.pairs, share.tolist(), strict=True):
            loss[frame, camera] = value
    trust = trust_of(loss)
    model.mask_trust.copy_(torch.as_tensor(trust).to(model.mask_trust))
    return int((trust < 1).sum())


def trust_of(loss: Float) -> Float:
    """Trust `[F,C]` in (0, 1] of masks with the losses `[F,C]` (frames, cameras); nan: no mask, or not judged.

    Usual for a view is the median of its frame or that of its camera, whichever is larger. Fewer than `MIN_VIEWS` say
    nothing; where neither says anything, the trust is 1.
    """
    usual = np.fmax(np.fmax(_medians(loss), _medians(loss.T).T), MIN_USUAL)
    known = np.isfinite(loss) & (np.isfinite(_medians(loss)) | np.isfinite(_medians(loss.T).T))
    ratio = np.where(known, loss, 0.0) / (FULL_TRUST * usual)
    trust: Float = np.maximum(ratio, 1.0) ** POWER
    return trust.clip(LEAST_TRUST)


def _medians(loss: Float) -> Float:
    """Median of each row of `[N,M]`, as `[N,1]`; nan where fewer than `MIN_VIEWS` are known."""
    rows = [row[np.isfinite(row)] for row in loss]
    return np.array([[np.median(row) if len(row) >= MIN_VIEWS else np.nan] for row in rows])
