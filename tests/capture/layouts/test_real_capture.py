"""The real capture in every layout: a fit of what is imported sees what a fit of the original sees."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from headfit.capture import CaptureSource, open_capture
from headfit.capture.data import CaptureData
from headfit.capture.framing import HeadWindow, framings_at
from headfit.capture.labels import label_classes
from headfit.capture.layouts import read_layout
from headfit.capture.layouts.importing import import_recording
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.views import ViewBatch
from tests.support import layout_writers as some
from tests.support import more_layout_writers as more
from tests.support.layout_cameras import assert_same_cameras, write_import

FRAMES = 12
#: By layout: a function that writes it.
WRITERS: dict[str, Callable[..., object]] = {
    "nersemble": partial(some.nersemble, per_camera=True),
    "vhap": partial(some.vhap, timesteps=FRAMES),
    "transforms": some.transforms,
    "colmap": partial(some.colmap_binary, frames=FRAMES),
    "opencv": some.opencv,
    "multiface": some.multiface,
    "ava-256": some.ava256,
    "metashape": some.metashape,
    "realitycapture": some.realitycapture,
    "realitycapture-csv": partial(some.realitycapture_csv, headings=True),
    "facescape": more.facescape,
    "renderme-360": more.renderme_json,
    "anipose": more.anipose,
    "h3ds": more.h3ds,
    "meshroom": more.meshroom,
    "opensfm": more.opensfm,
}
#: The size for which RenderMe-360's intrinsics hold: its files do not say it.
RENDERME_SIZE = (2448, 2048)
#: Where the pictures of a camera are, where that is not `images/<camera>`.
PICTURES = {"multiface": "images/SEN/{camera}", "facescape": "7/2_smile/images/{camera}"}


def rewritten(folder: Path, original: CaptureSource, layout: str) -> Path:
    """The imported capture of what is written in a layout, with the original's pictures, masks and landmarks.

    Layouts have no place for landmarks, and most have none for masks: these are added to capture.json.
    """
    cameras = [replace(camera, id=f"{100 + index}") for index, camera in enumerate(original.cameras)]
    if layout == "renderme-360":
        factors = [np.array([*RENDERME_SIZE, 1]) / [*camera.size, 1] for camera in cameras]
        cameras = [replace(camera, K=np.diag(f) @ camera.K) for camera, f in zip(cameras, factors, strict=True)]
    WRITERS[layout](folder, cameras)
    options = ImportOptions(size=original.cameras[0].size)
    frame = "{frame}"
    if layout == "vhap":
        frame = "{index:06d}"
        (folder / "images").mkdir()
        for index, name in enumerate(original.frames):
            for camera in range(len(cameras)):
                link = folder / "images" / f"{index:05d}_{camera:02d}.png"
                link.symlink_to(original.path / "images" / original.cameras[camera].id / f"{name}.jpg")
    else:
        ids = [entry["id"] for entry in read_layout(layout, folder, options)[1]["cameras"]]
        for name, camera in zip(ids, original.cameras, strict=True):
            link = folder / PICTURES.get(layout, "images/{camera}").replace("{camera}", name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(original.path / "images" / camera.id)
        if layout != "multiface":
            options = replace(options, images="images/{camera}/{frame}")
    capture = write_import(folder, layout, folder, options)
    content = json.loads((capture / "capture.json").read_text())
    content["classes"] = original.label_names
    content.pop("masks", None)  # VHAP's mattes
    for entry, camera in zip(content["cameras"], original.cameras, strict=True):
        entry.pop("color", None)  # Multiface's pictures are dark, these are not
        entry["masks"] = f"{original.path}/masks/{camera.id}/{frame}.png"
        entry["landmarks"] = f"{original.path}/landmarks/{camera.id}/{frame}.json"
    (capture / "capture.json").write_text(json.dumps(content))
    return capture


def views(capture: CaptureSource) -> ViewBatch:
    """One view of each camera, of different frames, at half their size."""
    classes = label_classes(list(capture.label_names.values()), capture.label_names)
    framings = framings_at([HeadWindow.whole(*camera.size) for camera in capture.cameras], 256)
    pairs = [(5 * camera % FRAMES, camera) for camera in range(len(capture.cameras))]
    return CaptureData(capture, classes).view_batch(pairs, framings)


@pytest.fixture(scope="module")
def original(real_capture: Path) -> CaptureSource:
    return open_capture(real_capture)


@pytest.fixture(scope="module")
def expected(original: CaptureSource) -> ViewBatch:
    return views(original)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_fit_sees_the_same(tmp_path: Path, original: CaptureSource, expected: ViewBatch, layout: str) -> None:
    found = open_capture(rewritten(tmp_path, original, layout))
    assert len(found.frames) == FRAMES
    assert_same_cameras(found.cameras, original.cameras, atol=1e-8, pixels=1e-8)
    batch = views(found)
    for field in fields(ViewBatch):
        one, other = getattr(batch, field.name), getattr(expected, field.name)
        if isinstance(other, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, msg=field.name)


def test_its_pictures_are_found_where_they_are(tmp_path: Path, original: CaptureSource, real_capture: Path) -> None:
    some.opencv(tmp_path, original.cameras, sizes=False)
    (tmp_path / "images").symlink_to(real_capture / "images")
    name, check = import_recording("auto", tmp_path, tmp_path / "capture", ImportOptions())
    assert name == "opencv" and not check.warnings
    found = open_capture(tmp_path / "capture")
    assert found.frames == original.frames
    np.testing.assert_array_equal(found.image(3, 7), original.image(3, 7))
    assert any(what == "views" and "agree to 0." in text for what, text in check.rows)
