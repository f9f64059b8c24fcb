"""`headfit prepare CAPTURE --from-fit RUN`: masks of a capture by the head that was fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headfit.capture.native import NativeCapture
from headfit.capture.pattern import Numbering
from headfit.capture.source import has_masks, read_or_none
from headfit.errors import HeadfitError
from headfit.fitting.fit_masks import shown_in
from headfit.fitting.run_folder import Run
from headfit.prepare.draft import Draft
from headfit.prepare.masks import mask_pointer
from headfit.segmentation.by_fit import Shown, segmented, segmented_face
from headfit.segmentation.labels import HAIR, UNKNOWN, known_parts, labels_by_fit, write_mask

MASK_FOLDER = "fit_masks"


def masks_from_fit(path: Path, run: Run, say: Callable[[str], None] = print) -> None:
    """Replace the masks of the capture in `path`, see `segmentation.by_fit.segmented`. What is background, clothes or
    ignored is taken from the masks that are there; the inside of the mouth, too, where they tell it.

    A view that the run did not fit keeps only its background.

    Raises:
        HeadfitError: the capture or the run is of another recording, or a mask cannot be written.
    """
    draft = Draft(path)
    if not draft.calibrated:
        raise HeadfitError(f"{draft.file}: has no calibration; run `headfit prepare {path}` without --from-fit first")
    capture = draft.open()
    seen = _Fitted(run, capture)
    folder = next(name for name in _folder_names() if not (path / name).exists())
    none_given, found = not has_masks(capture), set[int]()
    views = [(view, frame) for view in range(len(capture.cameras)) for frame in range(len(capture.frames))]
    for view, frame in tqdm(views, unit="view", desc="masks", leave=False):
        # Masks are counted as the reader counts those of a late camera.
        late = round(float(draft.content["cameras"][view].get("offset") or 0))
        name = Numbering.of(list(capture.frames), late).name(frame)
        image = read_or_none(capture.image, view, frame)
        if image is None or name is None:
            continue
        shown = seen.in_view(view, frame)
        if none_given:
            mask = segmented_face(image, shown)
        else:
            mask = segmented(image, _known(capture, view, frame, image.shape[:2]), shown)
        found.update(np.unique(mask).tolist())
        write_mask(path / folder / capture.cameras[view].id / f"{name}.png", mask)
    labels = labels_by_fit(capture.label_names, HAIR in found)
    if none_given:  # a label that no mask has would promise an outline
        labels = {value: label for value, label in labels.items() if value in found}
    draft.point("masks", mask_pointer(folder, labels))
    draft.content["prepared"] = draft.content.get("prepared", {}) | {"masks": f"colours, by the fit {run.path}"}
    kept = draft.write()
    say(f"masks written: {path / folder}; wrote {draft.file}; the old one is {kept}")


def _folder_names() -> Iterator[str]:
    """fit_masks, fit_masks_2, ...: those of an earlier fit stay, with the capture.json that points to them."""
    yield MASK_FOLDER
    yield from (f"{MASK_FOLDER}_{number}" for number in count(2))


class _Fitted:
    """A fitted head in the pictures of a capture.

    Raises HeadfitError when they have no camera or no frame in common, or a camera's pictures have another size.
    """

    def __init__(self, run: Run, capture: NativeCapture) -> None:
        self.model, self.capture = run.model, capture
        self.cameras = {camera.id: camera for camera in run.model.corrected_cameras()}
        self.frames = {run.model.capture.frames[index]: index for index in run.model.visited_frames}
        ids = {camera.id for camera in capture.cameras}
        for what, fitted, there in (("cameras", self.cameras, ids), ("frames", self.frames, set(capture.frames))):
            if not fitted.keys() & there:
                raise HeadfitError(f"{run.path}: has fitted none of the {what} of {capture.name}; name the run of it")
        run.model.capture.require_same_sizes(capture.cameras, run.path)

    def in_view(self, view: int, frame: int) -> Shown:
        """What a view shows of the head; nothing where it was not fitted."""
        names, of_view, name = self.model.head.label_names, self.capture.cameras[view], self.capture.frames[frame]
        if of_view.id not in self.cameras or name not in self.frames:
            return Shown(np.full((of_view.height, of_view.width), -1), names)
        return shown_in(self.model, self.cameras[of_view.id], self.frames[name])


def _known(capture: NativeCapture, view: int, frame: int, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """What the masks of a capture say of the person and its mouth, `[H,W]`; see `known_parts`."""
    mask = read_or_none(capture.mask, view, frame)
    return np.full(size, UNKNOWN, np.uint8) if mask is None else known_parts(mask, capture.label_names)
