"""The scene for splat trainers: its pictures are those of pinhole cameras, and its cameras are the fit's."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.manifest import read_camera
from headfit.errors import HeadfitError
from headfit.export import write_take
from tests.support.ramp import export_ramp, ramp_cameras


@pytest.fixture(scope="module")
def cameras(take):
    return ramp_cameras(take)


@pytest.fixture(scope="module")
def scene(take, cameras, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scene")
    notes = export_ramp(take, cameras, out, ["nerfstudio"])
    assert notes == [f"the capture has no frames {take.frames[2]}: not in the scene"]
    return out / "nerfstudio"


def test_each_frame_is_a_scene_and_the_take_has_times(take, scene):
    still = json.loads((scene / f"transforms_{take.frames[1]}.json").read_text())
    assert len(still["frames"]) == 2 and still["camera_model"] == "PINHOLE"
    whole = json.loads((scene / "transforms.json").read_text())
    assert [(f["frame"], f["time"]) for f in whole["frames"]] == [
        (take.frames[0], 0), (take.frames[1], 0.5), (take.frames[1], 0.5)
    ]  # fmt: skip
    for view in whole["frames"]:
        assert Image.open(scene / view["file_path"]).size == Image.open(scene / view["mask_path"]).size == (400, 600)


def test_pictures_show_points_where_the_pinhole_camera_projects_them(take, cameras, scene):
    view = json.loads((scene / "transforms.json").read_text())["frames"][0]
    points = take.meshes[0].vertices_of(0)[::300]
    to_camera = np.linalg.inv(view["transform_matrix"])  # OpenGL's axes
    local = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    x = view["fl_x"] * local[:, 0] / -local[:, 2] + view["cx"]
    y = view["fl_y"] * -local[:, 1] / -local[:, 2] + view["cy"]
    inside = (x > 5) & (x < 395) & (y > 5) & (y < 595)
    assert inside.sum() > 50
    colours = np.asarray(Image.open(scene / view["file_path"])).astype(float)[y.astype(int), x.astype(int)]
    there = cameras[0].project(points)
    assert np.abs(there - np.stack([x, y], 1))[inside].max() > 6, "the lens matters"
    np.testing.assert_allclose((colours[:, :2] * [2, 3])[inside], there[inside], atol=4)
    mask = np.asarray(Image.open(scene / view["mask_path"]))[y.astype(int).clip(0, 599), x.astype(int).clip(0, 399)]
    well_inside = inside & (np.abs(there - [200, 300]) < 37).all(axis=1)
    outside = inside & (np.abs(there - [200, 300]) > 43).any(axis=1)
    assert (mask[well_inside] == 255).all() and (mask[outside] == 0).all() and well_inside.any() and outside.any()


def test_our_own_reader_of_the_layout_finds_the_cameras_again(take, cameras, scene):
    layout, content = read_layout("auto", scene / f"transforms_{take.frames[1]}.json", ImportOptions())
    assert layout == "transforms" and len(content["cameras"]) == 2
    for entry, camera in zip(content["cameras"], cameras, strict=True):
        found = read_camera(entry)
        np.testing.assert_allclose(found.K, camera.K)
        np.testing.assert_allclose(found.R, camera.R, atol=1e-9)
        np.testing.assert_allclose(found.centre, camera.centre, atol=1e-9)


def test_initial_points_are_the_vertices_with_their_colours(take, scene):
    cloud = trimesh.load(scene / f"points_{take.frames[1]}.ply")
    expected = np.concatenate([mesh.vertices_of(1) for mesh in take.meshes])
    np.testing.assert_allclose(cloud.vertices, expected, atol=1e-6)
    assert cloud.colors.shape == (len(expected), 4)


def test_without_the_capture_the_error_says_so(take, tmp_path):
    with pytest.raises(HeadfitError, match="nerfstudio needs the pictures of the capture: name it by --capture"):
        write_take(take, tmp_path, ["nerfstudio"])
