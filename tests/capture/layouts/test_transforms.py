import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.selection import Selection
from headfit.errors import HeadfitError
from tests.support import layout_writers as write
from tests.support.faces import FaceCapture
from tests.support.layout_cameras import assert_same_cameras, head_rig, imported


def changed(file: Path, **values: object) -> None:
    """Change what stands at the top of a JSON file; None removes it."""
    content = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_blenders_has_a_field_of_view_and_no_size_and_no_suffix(tmp_path: Path) -> None:
    c = head_rig()[0]
    angle = 2 * np.arctan(50 / 220)
    frame = {"file_path": "./train/r_0", "transform_matrix": write.c2w(c, True).tolist()}
    (tmp_path / "transforms_train.json").write_text(json.dumps({"camera_angle_x": angle, "frames": [frame]}))
    with pytest.raises(HeadfitError, match="--size WIDTHxHEIGHT"):
        read_layout("auto", tmp_path, ImportOptions())
    (tmp_path / "train").mkdir()
    Image.new("RGBA", (100, 80)).save(tmp_path / "train" / "r_0.png")
    _, content = read_layout("auto", tmp_path, ImportOptions())
    (camera,) = content["cameras"]
    np.testing.assert_allclose(camera["K"], [[220, 0, 50], [0, 220, 40], [0, 0, 1]])
    np.testing.assert_allclose(camera["R"], c.R, atol=1e-12)
    assert camera["images"] == str(tmp_path / "train" / "r_0.png")


def test_the_applied_transform_is_taken_back(tmp_path: Path) -> None:
    rig = head_rig()
    file = write.transforms(tmp_path, rig)
    applied = np.array([[1, 0, 0, 0.5], [0, 0, 1, 0], [0, -1, 0, -2.0]])
    frames = json.loads(file.read_text())["frames"]
    for frame in frames:
        frame["transform_matrix"] = (np.vstack([applied, [0, 0, 0, 1]]) @ frame["transform_matrix"]).tolist()
    changed(file, frames=frames, applied_transform=applied.tolist())
    assert_same_cameras(imported(tmp_path, "transforms", file), rig)


def test_a_fisheye_is_one(tmp_path: Path) -> None:
    rig = head_rig(4)
    file = write.transforms(tmp_path, rig)
    frames = [f | {"k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4} for f in json.loads(file.read_text())["frames"]]
    changed(file, frames=frames, camera_model="OPENCV_FISHEYE")
    _, content = read_layout("auto", file, ImportOptions())
    assert content["cameras"][0]["lens"] == {"model": "fisheye", "coefficients": [0.1, 0.2, 0.3, 0.4]}


def test_nerfstudios_k4_is_of_the_radius_to_the_eighth(tmp_path: Path) -> None:
    rig = head_rig(4)
    file = write.transforms(tmp_path, rig)
    frames = [f | {"k3": 0.0, "k4": 0.02} for f in json.loads(file.read_text())["frames"]]
    changed(file, frames=frames)
    camera = imported(tmp_path, "auto", file)[0]
    x, y = 0.28, -0.4
    k1, k2, p1, p2 = rig[0].lens.coefficients[:4]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + 0.02 * r2**4
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    expected = rig[0].K[:2] @ [u, v, 1]
    np.testing.assert_allclose(camera.to_pixels(np.array([x, y, 1.0])), expected, atol=0.02)


def test_vhaps_has_cameras_and_timesteps(tmp_path: Path) -> None:
    write.vhap(tmp_path, head_rig(), timesteps=3)
    for kind in ("images", "fg_masks"):
        (tmp_path / kind).mkdir()
        for timestep in range(3):
            for index, camera in enumerate(head_rig()):
                Image.new("L", camera.size).save(tmp_path / kind / f"{timestep:05d}_{index:02d}.png")
    name, content = read_layout("auto", tmp_path, ImportOptions(selection=Selection("1:")))
    assert name == "vhap" and content["frames"] == ["00001", "00002"]
    assert [camera["id"] for camera in content["cameras"]] == ["00", "01", "02", "03", "04"]
    assert content["images"] == str(tmp_path / "images" / "{frame}_{camera}.png")
    assert content["masks"] == {"path": str(tmp_path / "fg_masks" / "{frame}_{camera}.png"), "labels": "matte"}


@pytest.mark.parametrize("by_hand", [False, True])
def test_vhaps_cy_is_read_as_the_pictures_have_it(tmp_path: Path, by_hand: bool) -> None:
    """Although the keys of the file suggest the contrary."""
    scene = FaceCapture("images", count=4, width=384, height=512, spread=25.0)
    scene.true = [replace(camera, K=camera.K + np.array([[0, 0, 0], [0, 0, 30], [0, 0, 0]])) for camera in scene.true]
    file = write.vhap(tmp_path, scene.true, timesteps=1, by_hand=by_hand)
    frames = json.loads(file.read_text())["frames"]
    for frame in frames:
        frame["timestep_id"] = "frame_0"
        if not by_hand:
            del frame["timestep_id"]
    changed(file, frames=frames)
    options = ImportOptions()
    without = read_layout("auto", file, options)[1]["cameras"]
    assert without[0]["K"][1][2] == pytest.approx(512 - scene.true[0].K[1, 2])
    assert "No pictures could confirm" in options.notes[-1]
    (tmp_path / "images").mkdir()
    for index in range(4):
        Image.fromarray(scene.image(index, 0)).save(tmp_path / "images" / f"00000_{index:02d}.png")
    options = ImportOptions()
    found = read_layout("auto", file, options)[1]["cameras"]
    assert found[0]["K"][1][2] == pytest.approx(scene.true[0].K[1, 2])
    way = "top" if by_hand else "bottom"
    assert options.notes[-1].startswith(f"cy is read from the {way}: pictures agree to 0.")


def test_vhaps_camera_that_moves_is_named(tmp_path: Path) -> None:
    file = write.vhap(tmp_path, head_rig())
    frames = json.loads(file.read_text())["frames"]
    frames[-1]["transform_matrix"][0][3] += 0.01
    changed(file, frames=frames)
    with pytest.raises(HeadfitError, match="camera 04 moves"):
        read_layout("auto", file, ImportOptions())


def test_what_is_no_transforms_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text('{"frames": 3}')
    with pytest.raises(HeadfitError, match=r"transforms.json: expected an object with 'frames'"):
        read_layout("transforms", tmp_path, ImportOptions())


def test_braces_of_a_folder_are_no_placeholders(tmp_path: Path) -> None:
    folder = tmp_path / "{take} 1"
    folder.mkdir()
    (camera, *_) = head_rig()
    write.transforms(folder, [camera])
    (folder / "images").mkdir()
    Image.new("RGB", camera.size).save(folder / "images" / "100.png")
    _, content = read_layout("auto", folder, ImportOptions())
    assert content["cameras"][0]["images"] == str(tmp_path / "{{take}} 1" / "images" / "100.png")


def test_a_panorama_is_refused(tmp_path: Path) -> None:
    file = write.transforms(tmp_path, head_rig())
    changed(file, camera_model="EQUIRECTANGULAR")
    with pytest.raises(HeadfitError, match="camera model EQUIRECTANGULAR is not supported"):
        read_layout("auto", file, ImportOptions())
