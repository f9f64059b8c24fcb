"""Pictures of a few views: the worst ones, and usual ones to compare them with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from tqdm import tqdm

from headfit.capture import CaptureSource
from headfit.capture.source import read_or_none
from headfit.fitting.fit_masks import with_fit_masks
from headfit.fitting.pictures import Picture, view_tiles
from headfit.report.facts import RunFacts
from headfit.report.markup import Section, paragraph, picture, row

#: Pixels across the head in the pictures; number of held-out cameras of which a view is shown.
RESOLUTION, HELD_OUT = 320, 2
#: Longest side of the texture as it is shown.
TEXTURE_SIZE = 1024
TILES = ("picture", "render", "label borders: model green, mask red", "colour error")


@dataclass(frozen=True)
class ChosenView:
    """A frame and a camera by name, and why they are shown."""

    frame: str
    camera: str
    why: str


def choose_views(facts: RunFacts) -> list[ChosenView]:
    """The views with the most wrong labels and the largest colour errors, the median view of both, and the median view
    of the first held-out cameras. Each view once."""
    chosen: dict[tuple[str, str], str] = {}

    def choose(index: int, why: str) -> None:
        chosen.setdefault((facts.views["frame"][index], facts.views["camera"][index]), why)

    for column, what in (("wrong_labels", "wrong labels"), ("colour_error", "colour error")):
        values = facts.residual(column)
        known = [int(i) for i in values.argsort() if np.isfinite(values[i])]  # ascending
        places = zip(("highest", "second highest", "third highest"), known[::-1], strict=False)
        middle = [("median", known[len(known) // 2])] if known else []
        for place, index in [*places, *middle]:
            choose(index, f"{what} {values[index]:.4f}, {place}")
    for camera in facts.held_out[:HELD_OUT]:
        values = facts.residual("wrong_labels")
        own = [i for i, name in enumerate(facts.views["camera"]) if name == camera and np.isfinite(values[i])]
        if own:
            choose(sorted(own, key=lambda i: values[i])[len(own) // 2], f"median view of the held-out camera {camera}")
    return [ChosenView(*names, why) for names, why in chosen.items()]


def views_section(runs: Sequence[RunFacts], captures: Sequence[CaptureSource]) -> Section:
    """The chosen views of the first run in all runs: picture, render, label borders, colour error.

    Args:
        runs: the runs.
        captures: the capture of each.
    """
    views = choose_views(runs[0])
    rows = []
    for view in tqdm(views, desc="pictures", unit="view"):
        rows.append(f"<h3>{escape(f'{view.camera}, frame {view.frame}: {view.why}')}</h3>")
        for facts, capture in zip(runs, captures, strict=True):
            if view.frame in facts.frames and view.camera in facts.cameras:
                tiles = zip(_tiles(facts, capture, view), TILES, strict=True)
                rows.append(row(picture(tile, facts.titled(name)) for tile, name in tiles))
    return Section("Views", rows or [paragraph("No view has anything to compare.")])


def _tiles(facts: RunFacts, capture: CaptureSource, view: ChosenView) -> tuple[Picture, ...]:
    """The pictures of one view, cut out around the head."""
    model = facts.run.model
    index = model.capture.camera_index(view.camera)
    framing = model.head_windows[index].framing(RESOLUTION)
    frame = facts.frames.index(view.frame)
    capture = with_fit_masks(capture, model, facts.run.path)
    image, mask = None, None
    if view.frame in capture.frames:
        where = capture.camera_index(view.camera), capture.frames.index(view.frame)
        image, mask = read_or_none(capture.image, *where), read_or_none(capture.mask, *where)
    return view_tiles(
        model,
        model.corrected_cameras()[index].framed(framing),
        frame,
        None if image is None else image[framing.window],
        None if mask is None else mask[framing.window],
    )


def texture_section(runs: Sequence[RunFacts]) -> Section:
    """The albedo of each run, and the colours of its hair layer."""
    pictures = []
    for facts in runs:
        model = facts.run.model
        if model.has_texture:
            pictures.append(picture(_shrunk(model.texture_image()), facts.titled("albedo")))
        if model.shows_hair:
            pictures.append(picture(_shrunk(model.hair_texture_image()), facts.titled("hair")))
    return Section("Texture", [row(pictures)] if pictures else [paragraph("The fit has no colours yet.")])


def _shrunk(image: Picture) -> Picture:
    """A square picture at `TEXTURE_SIZE` pixels a side, or fewer."""
    size = min(TEXTURE_SIZE, len(image))
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)
