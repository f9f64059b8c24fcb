"""The real capture in every layout: what is imported has its cameras, and its pictures."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.layouts.importing import import_recording
from headfit.capture.layouts.options import ImportOptions
from tests.support import layout_writers as some
from tests.support import more_layout_writers as more
from tests.support.layout_cameras import assert_same_cameras, imported

#: By layout: a function that writes it.
WRITERS: dict[str, Callable[..., object]] = {
    "nersemble": partial(some.nersemble, per_camera=True),
    "vhap": some.vhap,
    "transforms": some.transforms,
    "colmap": some.colmap_binary,
    "opencv": some.opencv,
    "multiface": some.multiface,
    "ava-256": some.ava256,
    "metashape": some.metashape,
    "realitycapture": some.realitycapture,
    "facescape": more.facescape,
    "renderme-360": more.renderme_json,
    "anipose": more.anipose,
    "h3ds": more.h3ds,
    "meshroom": more.meshroom,
    "opensfm": more.opensfm,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_its_cameras_come_back(tmp_path: Path, real_capture: Path, layout: str) -> None:
    cameras = [replace(camera, id=f"{100 + index}") for index, camera in enumerate(open_capture(real_capture).cameras)]
    WRITERS[layout](tmp_path, cameras)
    (size,) = {camera.size for camera in cameras}
    if layout in ("multiface", "renderme-360"):  # say nothing of the size, and theirs is another
        size = {"multiface": (1334, 2048), "renderme-360": (2448, 2048)}[layout]
        cameras = [replace(camera, width=size[0], height=size[1]) for camera in cameras]
    assert_same_cameras(imported(tmp_path, layout, tmp_path, size=size, scale=None), cameras)


def test_its_pictures_are_read_where_they_are(tmp_path: Path, real_capture: Path) -> None:
    original = open_capture(real_capture)
    some.opencv(tmp_path, original.cameras, sizes=False)
    (tmp_path / "images").symlink_to(real_capture / "images")
    options = ImportOptions()
    name, check = import_recording("auto", tmp_path, tmp_path / "capture", options)
    assert name == "opencv" and not check.warnings
    found = open_capture(tmp_path / "capture")
    assert found.frames == original.frames
    np.testing.assert_array_equal(found.image(3, 7), original.image(3, 7))
    assert any(what == "views" and "agree to 0." in text for what, text in check.rows)
