"""Masks that a fit makes of its capture, in the folder `masks` of its run, once it knows about where the parts of the
face are: see `headfit.segmentation.by_fit`.

Masks that show a person as a whole, or whose borders are a detector's, leave lips and lids where the landmarks and the
first colours put them, some tenths of a millimetre off. What the head shows by then, up to where the colours of each
picture change, is better.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.decode import decode_label_image
from headfit.capture.labels import LIP_LABELS, label_classes
from headfit.capture.source import CaptureSource, OtherMasks, read_or_none
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.segmentation.by_fit import Shown, segmented
from headfit.segmentation.labels import HAIR, known_parts, labels_by_fit, translated, write_mask
from headfit.segmentation.teeth import with_teeth

FOLDER = "masks"
#: Most views whose masks are made, evenly spaced ones: one of 384x512 pixels takes 0.7 s of one core.
MAX_VIEWS = 512
#: Each thread holds a picture and its masks.
MAX_THREADS = 8


def reason_to_make_masks(model: FittedHead, capture: CaptureSource) -> str | None:
    """What is wrong with the masks of a capture, where a fit of this head knows better: they "are rough" or "tell no
    lips". None where there is nothing, or no masks."""
    made = label_classes(model.head.label_names, labels_by_fit(capture.label_names)).names
    reason = "are rough" if capture.rough_masks else None if model.masks_show_lips else "tell no lips"
    if not reason or not capture.label_names or set(LIP_LABELS).isdisjoint(made):
        return None
    views = ((camera, frame) for frame in range(len(capture.frames)) for camera in model.training_cameras)
    return reason if any(capture.has_mask(*view) and capture.has_image(*view) for view in views) else None


def make_masks(
    model: FittedHead, capture: CaptureSource, frames: Sequence[int], run: Path
) -> tuple[int, dict[int, str]]:
    """Write the masks of the training views of some frames that have one, or of `MAX_VIEWS` of them, as the head shows
    them now.

    Returns:
        The number of masks, and their labels. Raises HeadfitError where a mask cannot be written.
    """
    cameras, threads = model.corrected_cameras(), min(torch.get_num_threads(), MAX_THREADS)
    every = [(camera, frame) for frame in frames for camera in model.training_cameras]
    every = [view for view in every if capture.has_mask(*view)]
    views = [every[i] for i in evenly_spaced(len(every), MAX_VIEWS)]
    count, has_hair = 0, False
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[bool]] = deque()
        for camera, frame in tqdm(views, desc="masks", unit="view", leave=False, disable=None, file=sys.stderr):
            image, given = read_or_none(capture.image, camera, frame), read_or_none(capture.mask, camera, frame)
            if image is None or given is None:
                continue
            known, shown = known_parts(given, capture.label_names), shown_in(model, cameras[camera], frame)
            pending.append(pool.submit(_make, mask_file(run, capture, camera, frame), image, known, shown))
            count += 1
            if len(pending) > threads:
                has_hair |= pending.popleft().result()
        has_hair |= any([made.result() for made in pending])
    return count, labels_by_fit(capture.label_names, has_hair)


def _make(file: Path, image: NDArray[np.uint8], known: NDArray[np.uint8], shown: Shown) -> bool:
    """Write a mask; returns whether it has hair."""
    mask = segmented(image, known, shown)
    write_mask(file, mask)
    return bool((mask == HAIR).any())


def shown_in(model: FittedHead, camera: Camera, frame: int) -> Shown:
    """What a camera, in the fit's local frame, shows of the fitted head."""
    layers = model.render(camera, frame)
    label = np.where(layers["below_neck"], -1, layers["label"])
    return Shown(label.astype(np.int16), model.head.label_names)


def mask_file(run: Path, capture: CaptureSource, camera: int, frame: int) -> Path:
    """Where the mask of a view is, in the folder of a run."""
    return run / FOLDER / capture.cameras[camera].id / f"{capture.frames[frame]}.png"


class FitMasks(OtherMasks):
    """A capture with the masks of a run; a view without one keeps its own, as far as the labels of the run tell it.
    Where they tell no parts inside of the mouth, colours tell the teeth.

    Args:
        capture: the capture.
        run: folder of the run.
        label_names: labels of its masks.
    """

    def __init__(self, capture: CaptureSource, run: Path, label_names: Mapping[int, str]) -> None:
        super().__init__(with_teeth(capture), label_names)
        self._run = run

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.mask`."""
        file = mask_file(self._run, self.capture, camera, frame)
        if file.exists():
            return decode_label_image(file.read_bytes(), str(file), 1)
        given = self.capture.mask(camera, frame)
        return None if given is None else translated(given, self.capture.label_names)


def with_fit_masks(capture: CaptureSource, model: FittedHead, run: Path) -> CaptureSource:
    """A capture with the masks that a run was fitted to: those that it made, where it made some; else those of the
    capture, in which colours tell the teeth where these do not (unless an earlier version fitted the run)."""
    if model.capture.made_masks:
        return cast(CaptureSource, FitMasks(capture, run, model.capture.label_names))
    told = with_teeth(capture)
    return told if told.label_names == model.capture.label_names else capture
