"""Traps of Metashape and RealityCapture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture import open_capture
from headfit.capture.layouts import read_layout
from headfit.capture.layouts.entries import turned
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.manifest import camera_entry, read_camera
from headfit.errors import HeadfitError
from tests.support import layout_writers as write
from tests.support.layout_cameras import POINTS, head_rig, imported, write_import


def upright(pixels: np.ndarray, size: tuple[int, int], degrees: int) -> np.ndarray:
    """Where pixels of a picture are once it is turned clockwise."""
    width, height = size
    x, y = pixels.T
    return np.stack({0: (x, y), 90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}[degrees], -1)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("coefficients", [0, 5, 8])
def test_a_turned_camera_sees_the_turned_picture(degrees: int, coefficients: int) -> None:
    """With a skew, which turns the camera a little more."""
    (camera, *_) = head_rig(coefficients)
    camera.K[0, 1] = 7.0
    entry = camera_entry(camera)
    entry["lens"] = {"model": "opencv", "coefficients": entry.pop("dist")}
    seen = read_camera(turned(entry, degrees)).project(POINTS)
    np.testing.assert_allclose(seen, upright(camera.project(POINTS), camera.size, degrees), atol=1e-8)


def test_metashape_mixes_orientations(tmp_path: Path) -> None:
    rig = head_rig(5)
    degrees = dict(zip((c.id for c in rig), (90, 270, 0, 180, 90), strict=True))
    exif = {0: 1, 90: 6, 180: 3, 270: 8}
    file = write.metashape(tmp_path, rig, {name: exif[turn] for name, turn in degrees.items()})
    for found, camera in zip(imported(tmp_path, "auto", file), rig, strict=True):
        expected = upright(camera.project(POINTS), camera.size, degrees[camera.id])
        np.testing.assert_allclose(found.project(POINTS), expected, atol=1e-6)
    entry = read_layout("auto", file, ImportOptions())[1]["cameras"][0]
    assert (entry["rotate"], entry["width"], entry["height"]) == (90, rig[0].height, rig[0].width)


def test_metashapes_stored_picture_is_read_upright(tmp_path: Path) -> None:
    """Named as a raw picture in the calibration, and exported as PNG."""
    (camera, *_) = rig = head_rig()
    file = write.metashape(tmp_path, rig, {camera.id: 6})
    file.write_text(file.read_text().replace("100.jpg", "100.CR2"))
    stored = np.random.default_rng(0).integers(0, 255, (camera.height, camera.width, 3), np.uint8)
    Image.fromarray(stored).save(tmp_path / "100.png")
    capture = open_capture(write_import(tmp_path, "auto", file, ImportOptions()))
    assert [c.id for c in capture.cameras] == ["100"]
    np.testing.assert_array_equal(capture.image(0, 0), np.rot90(stored, -1))


def test_metashapes_picture_that_is_upright_already_is_not_turned_again(tmp_path: Path) -> None:
    (camera, *_) = rig = head_rig()
    file = write.metashape(tmp_path, rig, {camera.id: 6})
    Image.new("RGB", (camera.height // 2, camera.width // 2)).save(tmp_path / f"{camera.id}.jpg")
    _, content = read_layout("auto", file, ImportOptions())
    (entry,) = content["cameras"]
    assert (entry["rotate"], entry["width"], entry["height"]) == (0, camera.height // 2, camera.width // 2)
    expected = upright(camera.project(POINTS), camera.size, 90) / 2
    np.testing.assert_allclose(read_camera(entry).project(POINTS), expected, atol=1e-6)


def test_metashape_says_what_is_left_out(tmp_path: Path) -> None:
    file = write.metashape(tmp_path, head_rig())
    text = file.read_text().replace('label="x"/>', 'label="x"><transform>1</transform></camera>')
    file.write_text(text.replace('<camera id="3"', '<camera id="3" enabled="false"'))
    options = ImportOptions()
    assert len(read_layout("auto", file, options)[1]["cameras"]) == 4
    left = "are left out"
    assert [note for note in options.notes if left in note] == [
        f"1 of 7 cameras are not aligned and {left}",
        f"1 of 7 cameras are disabled and {left}",
        f"1 of 7 cameras belong to another component and {left}",
    ]


def test_metashape_without_a_chunk_transform_has_an_arbitrary_unit(tmp_path: Path) -> None:
    file = write.metashape(tmp_path, head_rig())
    text = file.read_text()
    file.write_text(text[: text.index("<components>")] + text[text.index("<cameras>") :])
    options = ImportOptions()
    read_layout("auto", file, options)
    assert options.arbitrary_unit


def test_a_list_of_poses_takes_intrinsics_from_xmp_files(tmp_path: Path) -> None:
    rig = head_rig(5, shared=True)
    write.realitycapture_csv(tmp_path, rig, headings=False)
    options = ImportOptions(size=(640, 960))
    _, guessed = read_layout("realitycapture-csv", tmp_path, options)
    assert guessed["cameras"][0]["K"][0][0] == pytest.approx(960 * 50 / 36) and "GUESS" in options.notes[0]
    write.realitycapture(tmp_path, rig)
    found = imported(tmp_path, "realitycapture-csv", tmp_path, size=(640, 960))
    np.testing.assert_allclose(found[1].K, rig[1].K, atol=1e-9)
    np.testing.assert_allclose(found[1].project(POINTS), rig[1].project(POINTS), atol=1e-6)


def test_xmp_files_without_pictures_ask_for_their_size(tmp_path: Path) -> None:
    write.realitycapture(tmp_path, head_rig(shared=True))
    with pytest.raises(HeadfitError, match=r"100\.xmp.*--size"):
        read_layout("auto", tmp_path, ImportOptions())


def test_relative_coordinates_have_an_arbitrary_unit(tmp_path: Path) -> None:
    write.realitycapture(tmp_path, head_rig(shared=True))
    options = ImportOptions(size=(640, 960))
    read_layout("auto", tmp_path, options)
    assert not options.arbitrary_unit and "unit of the project" in options.notes[0]
    file = tmp_path / "100.xmp"
    file.write_text(file.read_text().replace("<rdf:Description ", '<rdf:Description xcr:Coordinates="relative" '))
    read_layout("auto", tmp_path, options)
    assert options.arbitrary_unit
