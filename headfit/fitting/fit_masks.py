"""Masks that a fit makes of its capture, in the folder `masks` of its run, once it knows about where the parts of the
face are: see `headfit.segmentation.by_fit`.

Masks that show a person as a whole, or whose borders are a detector's, leave lips and lids where the landmarks and the
first colours put them, some tenths of a millimetre off. What the head shows by then, up to where the colours of each
picture change, is better than either.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.camera import Camera
from headfit.capture.decode import decode_label_image
from headfit.capture.labels import label_classes, native_name
from headfit.capture.source import CaptureSource, has_masks, read_or_none
from headfit.capture.summary import CaptureSummary
from headfit.fitting.dense_points import LIPS
from headfit.fitting.model import FittedHead
from headfit.sampling import evenly_spaced
from headfit.segmentation import labels
from headfit.segmentation.by_fit import LIP_LABELS, Shown, segmented
from headfit.segmentation.labels import known_parts, labels_by_fit, translated, write_mask

FOLDER = "masks"
#: Most views whose masks are made, evenly spaced ones: one of 384x512 pixels takes 0.7 s of one core.
MAX_VIEWS = 512
#: Parts by which rough masks are found, as labels of the head and values of made masks; views that are looked at; by
#: how much of IoU made masks must agree better with the head than those of the capture.
JUDGED: tuple[tuple[tuple[str, ...], int], ...] = ((LIP_LABELS, labels.LIPS), (("hair",), labels.HAIR))
JUDGED_VIEWS, ROUGH_MARGIN = 24, 0.02


def can_make_masks(model: FittedHead, capture: CaptureSource) -> bool:
    """Whether the masks of a capture are rough or tell no lips, and a fit of this head knows more."""
    classes = label_classes(model.head.label_names, labels_by_fit(capture.label_names))
    tell_too_little = capture.rough_masks or not model.masks_show_lips
    return has_masks(capture) and tell_too_little and not set(LIPS).isdisjoint(classes.names)


def are_rough(model: FittedHead, capture: CaptureSource, frames: Sequence[int]) -> bool:
    """Whether lips and hair of the fitted head agree better with masks by the colours than with those of the capture.

    The head joins what all views say. Exact masks differ less from it than masks by colours do, by 0.01 to 0.02 of IoU;
    those of a parser, whose errors differ from view to view, by 0.06 more.
    """
    names = [native_name(capture.label_names.get(value, "unknown")) for value in range(256)]
    if not all(set(parts).intersection(names) for parts, _ in JUDGED):
        return False
    overlaps = np.zeros((2, len(JUDGED), 2))  # of given and made masks, by part, with the head: shared, and all, pixels
    for made in _made(model, capture, frames, JUDGED_VIEWS):
        if made.given is None:
            continue
        given = np.array(names)[made.given]
        known = ~np.isin(given, ("unknown", "ignore")) & ~np.isin(made.mask, (labels.UNKNOWN, labels.IGNORE))
        for part, (of_part, value) in enumerate(JUDGED):
            shown = made.shown.of(*of_part)
            for source, region in enumerate((np.isin(given, of_part), made.mask == value)):
                both, either = shown & region & known, (shown | region) & known
                overlaps[source, part] += both.sum(), either.sum()
    given_iou, made_iou = (overlaps[..., 0] / overlaps[..., 1].clip(1)).mean(1)
    return bool(made_iou > given_iou + ROUGH_MARGIN)


def make_masks(model: FittedHead, capture: CaptureSource, frames: Sequence[int], run: Path) -> int:
    """Write the masks of the training views of some frames, or of `MAX_VIEWS` of them, as the head shows them now.

    Returns:
        The number of masks. Raises HeadfitError where one cannot be written.
    """
    count = 0
    for made in _made(model, capture, frames, MAX_VIEWS):
        write_mask(mask_file(run, capture, made.camera, made.frame), made.mask)
        count += 1
    return count


@dataclass(frozen=True)
class _Made:
    """The mask `[H,W]` that is made of a view, the one that is given, and what the view shows of the head."""

    camera: int
    frame: int
    given: NDArray[np.uint8] | None
    shown: Shown
    mask: NDArray[np.uint8]


def _made(model: FittedHead, capture: CaptureSource, frames: Sequence[int], most: int) -> Iterator[_Made]:
    """Masks of at most so many training views, evenly spaced, in their order; computed in threads."""
    cameras, threads = model.corrected_cameras(), torch.get_num_threads()
    every = [(camera, frame) for frame in frames for camera in model.training_cameras]
    views = [every[i] for i in evenly_spaced(len(every), most)]
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[_Made]] = deque()
        for camera, frame in tqdm(views, desc="masks", unit="view", leave=False, disable=None, file=sys.stderr):
            image, given = read_or_none(capture.image, camera, frame), read_or_none(capture.mask, camera, frame)
            if image is None:
                continue
            shown = shown_in(model, cameras[camera], frame)
            pending.append(pool.submit(_make, capture.label_names, camera, frame, image, given, shown))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _make(
    label_names: Mapping[int, str],
    camera: int,
    frame: int,
    image: NDArray[np.uint8],
    given: NDArray[np.uint8] | None,
    shown: Shown,
) -> _Made:
    known = np.full(image.shape[:2], labels.UNKNOWN, np.uint8) if given is None else known_parts(given, label_names)
    return _Made(camera, frame, given, shown, segmented(image, known, shown))


def shown_in(model: FittedHead, camera: Camera, frame: int) -> Shown:
    """What a camera, in the fit's local frame, shows of the fitted head."""
    layers = model.render(camera, frame)
    return Shown(np.where(layers["below_neck"], -1, layers["label"]), model.head.label_names)


def mask_file(run: Path, capture: CaptureSource, camera: int, frame: int) -> Path:
    """Where the mask of a view is, in the folder of a run."""
    return run / FOLDER / capture.cameras[camera].id / f"{capture.frames[frame]}.png"


class FitMasks:
    """A capture with the masks of a run; a view without one keeps its own, as far as the labels of the run tell it.

    Args:
        capture: the capture.
        run: folder of the run.
    """

    rough_masks = False

    def __init__(self, capture: CaptureSource, run: Path) -> None:
        self._capture, self._run = capture, run
        self._given = dict(capture.label_names)
        self.label_names = labels_by_fit(capture.label_names)

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
        return translated(given, self._given)

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
    return summary.label_names in (labels.LABELS_BY_FIT, labels.LABELS_WITH_INSIDE) and (run / FOLDER).is_dir()
