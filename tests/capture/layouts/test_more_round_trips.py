"""Our cameras written in further layouts and imported again are the same; and what is special in each."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.renderme import plausible
from headfit.errors import HeadfitError
from tests.support import more_layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported, sized


def test_facescape(tmp_path: Path) -> None:
    rig = head_rig(5)
    file = write.facescape(tmp_path, rig)
    assert_same_cameras(imported(tmp_path, "auto", file), rig)


def test_facescapes_scale_is_in_a_file_above(tmp_path: Path) -> None:
    rig = head_rig(5)
    write.facescape(tmp_path, rig, unit=0.137)
    options = ImportOptions()
    read_layout("auto", tmp_path, options)
    assert options.arbitrary_unit and "1 of 6 views are not valid" in options.notes[0]
    (tmp_path / "Rt_scale_dict.json").write_text(json.dumps({"7": {"2": [137.0, np.eye(4)[:3].tolist()]}}))
    assert_same_cameras(imported(tmp_path, "auto", tmp_path / "7"), rig)


def test_renderme_as_json(tmp_path: Path) -> None:
    rig = head_rig(4, shared=True)
    write.renderme_json(tmp_path, rig)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), [sized(camera, 2448, 2048) for camera in rig])


def test_renderme_as_smc(tmp_path: Path) -> None:
    rig = [camera for camera in head_rig(5) if camera.width > camera.height]
    assert_same_cameras(imported(tmp_path, "auto", write.renderme_smc(tmp_path, rig)), rig)


@pytest.mark.parametrize(("D", "good"), [((0.1, -0.05, 0, 0, 0), True), ((0.1, -40, 0, 0, -500), False), ((), True)])
def test_rendermes_useless_lenses_are_left_out(D: tuple[float, ...], good: bool) -> None:
    K = np.array([[3000.0, 0, 1224], [0, 3000, 1024], [0, 0, 1]])
    assert plausible(np.array(D), K, (2448, 2048)) == good


@pytest.mark.parametrize("unit", [0.001, 1.0])
def test_anipose(tmp_path: Path, unit: float) -> None:
    rig = head_rig(5)
    options = ImportOptions()
    file = write.anipose(tmp_path, rig, unit)
    assert_same_cameras(imported(tmp_path, "auto", file), rig)
    read_layout("auto", file, options)
    assert "GUESS" in options.notes[0]


def test_h3ds(tmp_path: Path) -> None:
    rig = head_rig(shared=True)
    write.h3ds(tmp_path, rig)
    with pytest.raises(HeadfitError, match=r"cameras\.npz.*--size"):
        read_layout("auto", tmp_path, ImportOptions())
    assert_same_cameras(imported(tmp_path, "auto", tmp_path, size=(640, 960)), rig, atol=1e-5)
    (tmp_path / "image").mkdir()
    for index in range(5):
        Image.new("RGB", (640, 960)).save(tmp_path / "image" / f"img_{index:04d}.jpg")
    _, content = read_layout("auto", tmp_path, ImportOptions())
    assert content["cameras"][3]["images"] == str(tmp_path / "image" / "img_0003.jpg")


@pytest.mark.parametrize("version", [(1, 0, 0), (1, 2, 1), (1, 2, 3), (1, 2, 6)])
def test_meshroom(tmp_path: Path, version: tuple[int, int, int]) -> None:
    rig = head_rig(5)
    file = write.meshroom(tmp_path, rig, version)
    assert_same_cameras(imported(tmp_path, "auto", file), rig)


def test_opensfm(tmp_path: Path) -> None:
    rig = head_rig(5)
    assert_same_cameras(imported(tmp_path, "auto", write.opensfm(tmp_path, rig)), rig)
