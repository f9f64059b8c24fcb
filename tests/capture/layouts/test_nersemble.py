from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.selection import Selection
from headfit.errors import HeadfitError
from tests.support import layout_writers as write
from tests.support.layout_cameras import head_rig


def subject(root: Path, frames: int = 2, size: tuple[int, int] = (320, 480), absent: str = "") -> Path:
    """Version 1 as VHAP keeps it, with pictures of half the size that was calibrated. Returns the sequence."""
    folder = root / "camera_params" / "018"
    folder.mkdir(parents=True)
    rig = head_rig(shared=True)
    write.nersemble(folder, rig)
    for kind in ("images", "alpha_maps"):
        (root / "018" / "EMO-1" / kind).mkdir(parents=True)
        for camera in rig:
            for frame in range(frames):
                if camera.id != absent:
                    name = f"cam_{camera.id}_{frame:06d}." + ("jpg" if kind == "images" else "png")
                    Image.new("RGB" if kind == "images" else "L", size).save(root / "018" / "EMO-1" / kind / name)
    return root / "018" / "EMO-1"


@pytest.mark.parametrize("below", [".", "018/EMO-1", "camera_params/018", "camera_params/018/camera_params.json"])
def test_it_is_found_from_each_of_its_folders(tmp_path: Path, below: str) -> None:
    sequence = subject(tmp_path)
    name, content = read_layout("auto", tmp_path / below, ImportOptions())
    assert name == "nersemble" and content["frames"] == ["000000", "000001"] and content["fps"] == 25
    assert content["images"] == str(sequence / "images" / "cam_{camera}_{frame}")
    assert content["masks"] == {"path": str(sequence / "alpha_maps" / "cam_{camera}_{frame}"), "labels": "matte"}


def test_intrinsics_are_those_of_the_pictures_as_they_are(tmp_path: Path) -> None:
    _, content = read_layout("auto", subject(tmp_path), ImportOptions())
    (camera,) = [c for c in content["cameras"] if c["id"] == "100"]
    assert (camera["width"], camera["height"]) == (320, 480)
    np.testing.assert_allclose(np.array(camera["K"])[:2], head_rig(shared=True)[0].K[:2] / 2)


def test_without_pictures_the_size_is_asked_for(tmp_path: Path) -> None:
    file = write.nersemble(tmp_path, head_rig(shared=True))
    with pytest.raises(HeadfitError, match=r"camera_params.json.*--size WIDTHxHEIGHT \(2200x3208"):
        read_layout("nersemble", file, ImportOptions())


def test_cameras_without_pictures_are_left_out(tmp_path: Path) -> None:
    options = ImportOptions()
    _, content = read_layout("auto", subject(tmp_path, absent="102"), options)
    assert [camera["id"] for camera in content["cameras"]] == ["100", "101", "103", "104"]
    assert "102" in options.notes[0]


def test_the_affine_colour_correction_is_transposed(tmp_path: Path) -> None:
    """The file's is for rows, `rgb @ A[:, :3] + A[:, 3]`; capture.json's for columns."""
    sequence = subject(tmp_path)
    A = np.arange(12.0).reshape(3, 4) / 10
    (tmp_path / "color_correction" / "018").mkdir(parents=True)
    np.save(tmp_path / "color_correction" / "018" / "100.npy", A)
    _, content = read_layout("auto", sequence, ImportOptions())
    (step,) = content["cameras"][0]["color"]
    rgb = np.array([0.2, 0.5, 0.9])
    M = np.array(step["affine"])
    np.testing.assert_allclose(M[:, :3] @ rgb + M[:, 3], rgb @ A[:, :3] + A[:, 3])
    assert "color" not in content["cameras"][1]


def test_version_2_has_videos_and_colour_matrices(tmp_path: Path) -> None:
    (tmp_path / "030" / "calibration").mkdir(parents=True)
    rig = head_rig(shared=True)
    file = write.nersemble(tmp_path / "030" / "calibration", rig)
    matrix = np.eye(3).tolist()
    (file.parent / "color_calibration.json").write_text(f'{{"100": {matrix}}}')
    _, content = read_layout("auto", tmp_path / "030", ImportOptions(size=(640, 960), selection=Selection("0:60:3")))
    assert content["cameras"][0]["color"] == [{"ccm": matrix}]
    assert content["frames"] == {"start": 0, "stop": 60, "step": 3, "width": 6}


def test_several_sequences_are_listed(tmp_path: Path) -> None:
    subject(tmp_path)
    (tmp_path / "018" / "EXP-2" / "images").mkdir(parents=True)
    with pytest.raises(HeadfitError, match=r"--sequence: EMO-1, EXP-2"):
        read_layout("nersemble", tmp_path, ImportOptions())
    _, content = read_layout("nersemble", tmp_path, ImportOptions(sequence="EMO-1", selection=Selection(cameras="103")))
    assert content["name"] == "EMO-1" and [camera["id"] for camera in content["cameras"]] == ["103"]
