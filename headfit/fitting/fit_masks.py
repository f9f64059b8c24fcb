"""Masks that a fit makes of its capture, in the folder `masks` of its run, once it knows about where the parts of the
face are: see `headfit.segmentation.by_fit`.

Masks that show a person as a whole, or whose borders are a detector's, leave lips and lids where the landmarks and the
first colours put them, some tenths of a millimetre off. What the head shows by then, up to where the colours of each
picture change, is better than either.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.decode import decode_label_image
from headfit.capture.labels import label_classes
from headfit.capture.source import CaptureSource, has_masks, read_or_none
from headfit.capture.summary import CaptureSummary
from headfit.fitting.dense_points import LIPS
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.segmentation.by_fit import Shown, segmented
from headfit.segmentation.labels import BACKGROUND, LABELS_BY_FIT, UNKNOWN, person_of, write_mask

FOLDER = "masks"
#: Most views whose masks are made, evenly spaced ones: one of 384x512 pixels takes 0.7 s of one core.
MAX_VIEWS = 512


def can_make_masks(model: FittedHead, capture: CaptureSource) -> bool:
    """Whether the masks of a capture are rough or tell no lips, and a fit of this head knows more."""
    classes = label_classes(model.head.label_names, LABELS_BY_FIT)
    tell_too_little = capture.rough_masks or not model.masks_show_lips
    return has_masks(capture) and tell_too_little and not set(LIPS).isdisjoint(classes.names)


def make_masks(model: FittedHead, capture: CaptureSource, frames: Sequence[int], run: Path) -> int:
    """Write the masks of the training views of some frames, or of `MAX_VIEWS` of them, as the head shows them now.

    Returns:
        The number of masks. Raises HeadfitError where one cannot be written.
    """
    cameras, given = model.corrected_cameras(), dict(capture.label_names)
    every = [(camera, frame) for frame in frames for camera in model.training_cameras]
    views = [every[i] for i in evenly_spaced(len(every), MAX_VIEWS)]
    count, threads = 0, torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[None]] = deque()
        for camera, frame in tqdm(views, desc="masks", unit="view", leave=False, disable=None, file=sys.stderr):
            image, mask = read_or_none(capture.image, camera, frame), read_or_none(capture.mask, camera, frame)
            if image is None:
                continue
            person = np.full(image.shape[:2], UNKNOWN, np.uint8) if mask is None else person_of(mask, given)
            file = mask_file(run, capture, camera, frame)
            pending.append(pool.submit(_make, file, image, person, shown_in(model, cameras[camera], frame)))
            count += 1
            if len(pending) > 2 * threads:
                pending.popleft().result()
        while pending:
            pending.popleft().result()
    return count


def _make(file: Path, image: NDArray[np.uint8], person: NDArray[np.uint8], shown: Shown) -> None:
    write_mask(file, segmented(image, person, shown))


def shown_in(model: FittedHead, camera: Camera, frame: int) -> Shown:
    """What a camera, in the fit's local frame, shows of the fitted head."""
    layers = model.render(camera, frame)
    return Shown(np.where(layers["below_neck"], -1, layers["label"]), model.head.label_names)


def mask_file(run: Path, capture: CaptureSource, camera: int, frame: int) -> Path:
    """Where the mask of a view is, in the folder of a run."""
    return run / FOLDER / capture.cameras[camera].id / f"{capture.frames[frame]}.png"


class FitMasks:
    """A capture with the masks of a run; a view without one keeps of its own mask what is background.

    Args:
        capture: the capture.
        run: folder of the run.
    """

    rough_masks = False

    def __init__(self, capture: CaptureSource, run: Path) -> None:
        self._capture, self._run = capture, run
        self._given = dict(capture.label_names)
        self.label_names = dict(LABELS_BY_FIT)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.mask`."""
        file = mask_file(self._run, self._capture, camera, frame)
        if file.exists():
            return decode_label_image(file.read_bytes(), str(file), 1)
        given = self._capture.mask(camera, frame)
        if given is None:
            return None
        only_background = np.where(person_of(given, self._given) == BACKGROUND, BACKGROUND, UNKNOWN)
        return only_background.astype(np.uint8)

    def has_mask(self, camera: int, frame: int) -> bool:
        """As `CaptureSource.has_mask`."""
        return self._capture.has_mask(camera, frame) or mask_file(self._run, self._capture, camera, frame).exists()


def with_fit_masks(capture: CaptureSource, model: FittedHead, run: Path) -> CaptureSource:
    """A capture with the masks that a run was fitted to: those that it made, where it has made some."""
    return fit_masks(capture, run) if has_made_masks(model.capture, run) else capture


def fit_masks(capture: CaptureSource, run: Path) -> CaptureSource:
    """A capture with the masks in the folder of a run; see `FitMasks`."""
    return cast(CaptureSource, FitMasks(capture, run))


def has_made_masks(summary: CaptureSummary, run: Path) -> bool:
    """Whether a run of a capture has made masks, and its parameters were fitted to them."""
    return summary.label_names == LABELS_BY_FIT and (run / FOLDER).is_dir()
