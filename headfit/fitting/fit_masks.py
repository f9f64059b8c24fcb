"""Masks that a fit makes of its capture, in the folder `masks` of its run, once it knows about where the parts of the
face are: see `headfit.segmentation.by_fit`.

Masks that show a person as a whole, or whose borders are a detector's, leave lips and lids where the landmarks and the
first colours put them, some tenths of a millimetre off. What the head shows by then, up to where the colours of each
picture change, is better.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.decode import decode_label_image
from headfit.capture.labels import LIP_LABELS, label_classes
from headfit.capture.source import CaptureSource, OtherMasks, has_masks, read_or_none
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.segmentation.by_fit import Shown, segmented, segmented_face
from headfit.segmentation.labels import HAIR, LIPS, UNKNOWN, known_parts, labels_by_fit, translated, write_mask
from headfit.segmentation.teeth import with_teeth
from headfit.types import Bool

FOLDER = "masks"
#: A reason to make masks.
NO_MASKS = "there are no masks"
#: Most views of key frames whose masks are made: one of 384x512 pixels takes 0.8 s of one core, 0.4 s where only the
#: face is looked at.
MAX_VIEWS = 512
#: Number of views by which it is judged whether masks are rough, and least pixels of lips in one of them; fewer than
#: `MIN_JUDGED` such views tell nothing. With exact masks, lips by colours overlap more with the head in 0 to 14 % of
#: the views, by .01 at most; with borders that wander by 1.5 pixels in all of them, by .02 to .28.
JUDGED_VIEWS, MIN_LIPS, MIN_JUDGED, MARGIN = 16, 200, 4, 0.02
#: Longest side of the head, in pixels, from which on pictures are reduced for it: borders are not cut in finer ones.
MAX_ACROSS = 1200
#: Each thread holds a picture and its masks.
MAX_THREADS = 8


def reason_to_make_masks(model: FittedHead, capture: CaptureSource) -> str | None:
    """What is wrong with the given masks of a capture, where a fit of this head knows better, for a message:
    `NO_MASKS`, or they are rough or tell no lips. None where there is nothing wrong, or no picture."""
    told, made = (
        label_classes(model.head.label_names, labels).names
        for labels in (capture.label_names, labels_by_fit(capture.label_names))
    )
    if set(LIP_LABELS).isdisjoint(made):
        return None
    if not has_masks(capture):
        reason = NO_MASKS
    elif capture.rough_masks:
        reason = "the masks are rough"
    elif set(LIP_LABELS).isdisjoint(told):
        reason = "the masks tell no lips"
    else:
        return None
    every = product(model.training_cameras, range(len(capture.frames)))
    return reason if any(can_be_made(capture, *view, reason != NO_MASKS) for view in every) else None


def can_be_made(capture: CaptureSource, camera: int, frame: int, need_given: bool) -> bool:
    """Whether a view has a picture, and a mask if it needs one."""
    return capture.has_image(camera, frame) and (not need_given or capture.has_mask(camera, frame))


def key_views(
    model: FittedHead, capture: CaptureSource, frames: Iterable[int], need_given: bool, most: int = MAX_VIEWS
) -> list[tuple[int, int]]:
    """The training views (camera, frame) of frames with a picture, and with a mask if they need one; of more than
    `most` views evenly spaced ones."""
    every = [
        (camera, frame)
        for frame, camera in product(frames, model.training_cameras)
        if can_be_made(capture, camera, frame, need_given)
    ]
    return [every[i] for i in evenly_spaced(len(every), most)]


def masks_are_rough(model: FittedHead, capture: CaptureSource, frames: Iterable[int]) -> bool:
    """Whether lips by the colours of single pictures overlap with those of the fitted head by `MARGIN` more than those
    of the masks do, in most of some views of `frames`. All views share the head, so what agrees with it better errs
    less, though the head was fitted to the masks. False where masks tell no lips, or too few views show some."""
    names, cameras, better = capture.label_names, _reduced_cameras(model), []
    lips, open_ = (
        [value for value, name in names.items() if name in which] for which in (LIP_LABELS, ("unknown", "ignore"))
    )
    for camera, frame in key_views(model, capture, frames, True, JUDGED_VIEWS) if lips else ():
        image, given = read_or_none(capture.image, camera, frame), read_or_none(capture.mask, camera, frame)
        if image is None or given is None:
            continue
        shown = shown_in(model, cameras[camera], frame)
        made, given = segmented_face(_like(shown, image, cv2.INTER_AREA), shown), _like(shown, given)
        told = (made != UNKNOWN) & np.isin(given, [*names]) & ~np.isin(given, open_)
        by_head, by_colours, by_mask = (
            region & told for region in (shown.of(*LIP_LABELS), made == LIPS, np.isin(given, lips))
        )
        if min(by_head.sum(), by_colours.sum()) >= MIN_LIPS:
            better.append(_overlap(by_colours, by_head) > _overlap(by_mask, by_head) + MARGIN)
    return len(better) >= MIN_JUDGED and sum(better) > len(better) / 2


def _overlap(one: Bool, other: Bool) -> float:
    """Intersection over union of two regions, of which one has pixels."""
    return float((one & other).sum() / (one | other).sum())


def make_masks(
    model: FittedHead, capture: CaptureSource, views: Iterable[tuple[int, int]], run: Path, cut_outline: bool = True
) -> tuple[int, bool]:
    """Write masks of some views (camera, frame) as the head shows them now; but not where picture or mask is damaged.

    Args:
        model: the fitted head.
        capture: with the masks that were given.
        views: those whose masks are made; without a given mask, of the face only.
        run: the run folder.
        cut_outline: see `segmented`.

    Returns:
        The number of masks, and whether any shows hair. Raises HeadfitError where a mask cannot be written.
    """
    cameras, threads = _reduced_cameras(model), min(torch.get_num_threads(), MAX_THREADS)
    count, has_hair = 0, False
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[bool]] = deque()
        for camera, frame in tqdm(views, desc="masks", unit="view", leave=False, disable=None, file=sys.stderr):
            image, given = read_or_none(capture.image, camera, frame), read_or_none(capture.mask, camera, frame)
            if image is None or (given is None and capture.has_mask(camera, frame)):
                continue
            known = None if given is None else known_parts(given, capture.label_names)
            shown = shown_in(model, cameras[camera], frame)
            file = mask_file(run, capture, camera, frame)
            pending.append(pool.submit(_make, file, image, known, shown, cut_outline))
            count += 1
            if len(pending) > threads:
                has_hair |= pending.popleft().result()
        has_hair |= any([made.result() for made in pending])
    return count, has_hair


def _make(
    file: Path, image: NDArray[np.uint8], known: NDArray[np.uint8] | None, shown: Shown, cut_outline: bool
) -> bool:
    """Write the mask of a picture, which may be larger than what is `shown`; returns whether it has hair."""
    small = _like(shown, image, cv2.INTER_AREA)
    told = None if known is None else _like(shown, known)
    mask = segmented_face(small, shown) if told is None else segmented(small, told, shown, cut_outline)
    write_mask(file, cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(np.uint8))
    return bool((mask == HAIR).any())


def _reduced_cameras(model: FittedHead) -> list[Camera]:
    """The corrected cameras, with pictures in which the head is `MAX_ACROSS` pixels long at most."""
    windows = model.head_windows
    return [
        camera.scaled(min(1.0, MAX_ACROSS / window.head_size))
        for camera, window in zip(model.corrected_cameras(), windows, strict=True)
    ]


def _like(shown: Shown, pixels: NDArray[np.uint8], interpolation: int = cv2.INTER_NEAREST) -> NDArray[np.uint8]:
    """A picture or mask of a camera in the size of what is `shown` of it."""
    return cv2.resize(pixels, shown.label.shape[::-1], interpolation=interpolation).astype(np.uint8)


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

    Attributes:
        made_frames: the frames whose masks of the run count, at first all; a fit goes on without those that it, or
            another process that shares its folder, makes later.
    """

    def __init__(self, capture: CaptureSource, run: Path, label_names: Mapping[int, str]) -> None:
        super().__init__(with_teeth(capture), label_names)
        self._run = run
        self.made_frames: Container[int] = range(len(capture.frames))

    def has_mask(self, camera: int, frame: int) -> bool:
        """As `CaptureSource.has_mask`, of the capture; True where it has none at all: then nothing is missing."""
        return not self._some_given or self.capture.has_mask(camera, frame)

    @cached_property
    def _some_given(self) -> bool:
        return has_masks(self.capture)

    def mask(self, camera: int, frame: int) -> NDArray[np.uint8] | None:
        """As `CaptureSource.mask`."""
        file = mask_file(self._run, self.capture, camera, frame)
        if frame in self.made_frames and file.exists():
            return decode_label_image(file.read_bytes(), str(file), 1)
        given = self.capture.mask(camera, frame)
        return None if given is None else translated(given, self.capture.label_names)


def given_capture(capture: CaptureSource) -> CaptureSource:
    """A capture without the masks that a run has made of it."""
    return capture.capture if isinstance(capture, FitMasks) else capture


def with_fit_masks(capture: CaptureSource, model: FittedHead, run: Path) -> CaptureSource:
    """A capture with the masks that a run was fitted to: those that it made, where it made some; else those of the
    capture, in which colours tell the teeth where these do not (unless an earlier version fitted the run)."""
    if model.capture.made_masks:
        return cast(CaptureSource, FitMasks(capture, run, model.capture.label_names))
    told = with_teeth(capture)
    return told if told.label_names == model.capture.label_names else capture
