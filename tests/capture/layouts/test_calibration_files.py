"""Traps of OpenCV's YAML, Multiface and ava-256."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.manifest import read_camera
from headfit.errors import HeadfitError
from tests.support import layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported


def test_yaml_without_sizes_asks_for_one_or_takes_the_pictures(tmp_path: Path) -> None:
    rig = head_rig(5)
    write.opencv(tmp_path, rig, sizes=False)
    with pytest.raises(HeadfitError, match=r"intri\.yml.*--size"):
        read_layout("auto", tmp_path, ImportOptions())
    for camera in rig:
        (tmp_path / "images" / camera.id).mkdir(parents=True)
        Image.new("RGB", camera.size).save(tmp_path / "images" / camera.id / "000003.jpg")
    assert_same_cameras(imported(tmp_path, "opencv", tmp_path), rig)


def test_yaml_notes_a_camera_without_a_pose(tmp_path: Path) -> None:
    write.opencv(tmp_path, head_rig())
    options = ImportOptions()
    read_layout("auto", tmp_path, options)
    assert options.notes[0] == "left out, because they are in one of the two files only: spare"


def test_yaml_names_may_be_bare_numbers_with_zeros(tmp_path: Path) -> None:
    write.opencv(tmp_path, head_rig())
    for file in tmp_path.glob("*.yml"):
        file.write_text(file.read_text().replace('"100"', "007").replace("_100:", "_007:"))
    assert read_layout("auto", tmp_path, ImportOptions())[1]["cameras"][0]["id"] == "007"


def multiface(folder: Path, size: tuple[int, int] = (667, 1024)) -> Path:
    """A recording with two segments and pictures of half the published size; frame numbers step by 3."""
    write.multiface(folder, head_rig(shared=True))
    for segment in ("E001", "SEN_a"):
        for camera in head_rig():
            (folder / "images" / segment / camera.id).mkdir(parents=True)
            for frame in (21897, 21900):
                Image.new("RGB", size).save(folder / "images" / segment / camera.id / f"{frame:06d}.png")
    return folder


def test_multiface_has_segments_and_colours_and_pictures_of_any_size(tmp_path: Path) -> None:
    folder = multiface(tmp_path, size=(320, 480))
    with pytest.raises(HeadfitError, match="--sequence: E001, SEN_a"):
        read_layout("auto", folder, ImportOptions())
    _, content = read_layout("auto", folder, ImportOptions(sequence="SEN_a"))
    assert content["frames"] == ["021897", "021900"] and content["units"] == "mm" and content["fps"] == 30
    camera = content["cameras"][0]
    assert (camera["width"], camera["height"]) == (320, 480)
    np.testing.assert_allclose(np.array(camera["K"])[:2], head_rig(shared=True)[0].K[:2] / 2)
    values = np.array([0.1, 0.2, 0.3])
    stated = np.sqrt((values * [1.4, 1.1, 1.6] / 1.1 - 3 / 255) * 0.95 / (1 - 3 / 255)) - 15 / 255
    for step in camera["color"]:
        ((name, value),) = step.items()
        values = {
            "gain": lambda v, x: v * x,
            "black": lambda v, x: v - x,
            "gamma": lambda v, x: v ** (1 / x),
        }[name](values, np.array(value))
    np.testing.assert_allclose(values, stated)


def test_multiface_names_the_line_of_a_block_that_is_none(tmp_path: Path) -> None:
    write.multiface(tmp_path, head_rig())
    lines = (tmp_path / "KRT").read_text().splitlines()
    (tmp_path / "KRT").write_text("\n".join(lines[:12] + lines[13:]))
    with pytest.raises(HeadfitError, match="KRT: line 10: expected a camera in 8 lines"):
        read_layout("multiface", tmp_path, ImportOptions())


def test_ava256_is_transposed_and_has_zips_and_parts(tmp_path: Path) -> None:
    rig = head_rig(shared=True)
    write.ava256(tmp_path, rig)
    picture = BytesIO()
    Image.new("RGB", (640, 960)).save(picture, "AVIF")
    for kind, suffix in (("image", "avif"), ("segmentation_parts", "png")):
        (tmp_path / kind).mkdir()
        for camera in rig[:3]:
            with zipfile.ZipFile(tmp_path / kind / f"cam{camera.id}.zip", "w") as archive:
                for frame in (4567, 4570):
                    archive.writestr(f"cam{camera.id}/{frame:06d}.{suffix}", picture.getvalue())
    options = ImportOptions()
    _, content = read_layout("auto", tmp_path, options)
    assert content["images"] == f"{tmp_path}/image/cam{{camera}}.zip/cam{{camera}}/{{frame}}"
    assert content["masks"]["labels"] == "ava-256" and ".zip/" in content["masks"]["path"]
    assert content["frames"] == ["004567", "004570"] and "103, 104" in options.notes[0]
    assert_same_cameras([read_camera(entry, 0.001) for entry in content["cameras"]], rig[:3])
    (tmp_path / "frame_list.csv").write_text("seg_id,frame_id\nEXP_a,4567\nEXP_b,4570\n")
    assert read_layout("auto", tmp_path, ImportOptions(sequence="EXP_b"))[1]["frames"] == ["004570"]
