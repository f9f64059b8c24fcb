from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.errors import HeadfitError
from tests.support import layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported


def test_folders_of_images_are_cameras_that_stand_still(tmp_path: Path) -> None:
    rig = head_rig(4)
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    write.colmap(tmp_path / "sparse" / "0", rig, frames=3)
    for camera in rig:
        (tmp_path / "images" / camera.id).mkdir(parents=True)
        for frame in range(3):
            Image.new("RGB", camera.size).save(tmp_path / "images" / camera.id / f"{frame:04d} b.jpg")
    options = ImportOptions()
    name, content = read_layout("auto", tmp_path, options)
    assert name == "colmap" and content["frames"] == ["0000 b", "0001 b", "0002 b"]
    assert Path(content["images"]) == tmp_path / "sparse" / "0" / "../../images/{camera}/{frame}"
    assert [camera["id"] for camera in content["cameras"]] == [camera.id for camera in rig]
    assert options.arbitrary_unit and "--scale" in options.notes[0]


def test_a_rig_that_moves_is_a_rig_that_stands_still(tmp_path: Path) -> None:
    """The head turned, and COLMAP took that for a movement of the rig."""
    rig = head_rig(4)
    write.colmap_binary(tmp_path, rig, frames=3, turn=0.3)
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), rig)
    assert [c["id"] for c in read_layout("auto", tmp_path, ImportOptions())[1]["cameras"]] == [c.id for c in rig]


def test_text_rigs_are_read_like_binary_ones(tmp_path: Path) -> None:
    rig = head_rig()
    write.colmap(tmp_path, rig, "PINHOLE", frames=1)
    base = write.pose(rig[0])
    words = ["1 5 CAMERA 1"]
    for index, camera in enumerate(rig[1:], start=2):
        relative = write.pose(camera) @ np.linalg.inv(base)
        values = [*write.quaternion(relative[:3, :3]), *relative[:3, 3]]
        words.append(f"CAMERA {index} 1 " + " ".join(map(repr, map(float, values))))
    (tmp_path / "rigs.txt").write_text("# rigs\n" + " ".join(words) + "\n")
    images = [line.split()[0] for line in (tmp_path / "images.txt").read_text().splitlines() if ".jpg" in line]
    data = " ".join(f"CAMERA {index} {image}" for index, image in enumerate(images, start=1))
    values = " ".join(map(repr, map(float, [*write.quaternion(base[:3, :3]), *base[:3, 3]])))
    (tmp_path / "frames.txt").write_text(f"1 1 {values} 5 {data}\n")
    assert_same_cameras(imported(tmp_path, "auto", tmp_path), rig)


def test_scale_is_metres_per_unit(tmp_path: Path) -> None:
    rig = head_rig()
    write.colmap(tmp_path, rig, "PINHOLE")
    np.testing.assert_allclose(imported(tmp_path, "auto", tmp_path, scale=0.25)[2].t, rig[2].t / 4, atol=1e-9)


@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV", "OPENCV_FISHEYE", "FOV"])
def test_camera_models(tmp_path: Path, model: str) -> None:
    params = {
        "SIMPLE_PINHOLE": "1000 320 240",
        "SIMPLE_RADIAL": "1000 320 240 -0.05",
        "RADIAL": "1000 320 240 -0.05 0.01",
        "FULL_OPENCV": "1000 1010 320 240 -0.05 0.01 0.001 0.002 0.003 0.01 0.02 0.03",
        "OPENCV_FISHEYE": "1000 1010 320 240 0.01 0.02 0.03 0.04",
        "FOV": "1000 1010 320 240 0.3",
    }[model]
    (tmp_path / "cameras.txt").write_text(f"7 {model} 640 480 {params}\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 1 7 a.jpg\n\n")
    (camera,) = imported(tmp_path, "colmap", tmp_path)
    if model != "FOV":  # its K is that of the axis
        focal = (1000, 1010) if model in ("FULL_OPENCV", "OPENCV_FISHEYE") else (1000, 1000)
        np.testing.assert_allclose(camera.K, [[focal[0], 0, 320], [0, focal[1], 240], [0, 0, 1]])
    assert camera.lens.name == ("fisheye" if "FISHEYE" in model else "opencv")
    assert camera.lens.is_pinhole == (model == "SIMPLE_PINHOLE")


def test_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    write.colmap_binary(tmp_path, head_rig(4))
    data = (tmp_path / "images.bin").read_bytes()
    (tmp_path / "images.bin").write_bytes(data[:-20])
    with pytest.raises(HeadfitError, match=r"images\.bin"):
        read_layout("auto", tmp_path, ImportOptions())
