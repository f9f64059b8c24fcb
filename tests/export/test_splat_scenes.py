"""The layouts of GaussianAvatars and COLMAP: our readers of them, and COLMAP itself, find the fit's cameras again."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from headfit.capture.layouts import read_layout
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.lenses import make_lens
from headfit.capture.manifest import read_camera
from headfit.errors import HeadfitError
from headfit.export import write_take
from headfit.export.scene_pictures import SceneCamera
from tests.support.ramp import Ramp, export_ramp, ramp_cameras

#: Of the positions in the files, in metres.
ORIGIN = np.array([3.0, -2.0, 1.0])


@pytest.fixture(scope="module")
def cameras(take):
    return ramp_cameras(take)


@pytest.fixture(scope="module")
def folder(take, cameras, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    notes = export_ramp(replace(take, origin=ORIGIN), cameras, out, ["gaussianavatars", "colmap", "nerfstudio"])
    assert notes == [f"the capture has no frames {take.frames[2]}: not in the scene"]
    return out


def field_of_view_projection(entry: dict, points: np.ndarray) -> np.ndarray:
    """Pixels of points by what GaussianAvatars and the first Gaussian splatting read: pose, size, one angle."""
    to_camera = np.linalg.inv(entry["transform_matrix"])
    x, y, z = (points @ to_camera[:3, :3].T + to_camera[:3, 3]).T
    focal = entry["w"] / 2 / np.tan(entry["camera_angle_x"] / 2)
    return np.stack([focal * x / -z + entry["w"] / 2, focal * -y / -z + entry["h"] / 2], axis=1)


def test_pictures_are_those_of_cameras_known_by_their_field_of_view_alone(take, cameras, folder):
    views = json.loads((folder / "gaussianavatars" / "transforms.json").read_text())["frames"]
    assert [(v["timestep_index"], v["camera_index"], v["camera_id"]) for v in views] == [
        (0, 0, "cam 0"), (1, 0, "cam 0"), (1, 1, "1")
    ]  # fmt: skip
    points = take.meshes[0].vertices_of(1)[::300]
    for view, camera in zip(views[1:], cameras, strict=True):
        picture = np.asarray(Image.open(folder / "gaussianavatars" / view["file_path"])).astype(float)
        mask = np.asarray(Image.open(folder / "gaussianavatars" / view["fg_mask_path"]))
        assert picture.shape[:2] == mask.shape == (view["h"], view["w"]) and view["w"] > camera.width
        there = camera.project(points)
        inside = (np.abs(there - [200, 300]) < 37).all(axis=1)
        x, y = field_of_view_projection(view, points - ORIGIN)[inside].T
        assert inside.sum() > 3 and (mask[y.astype(int), x.astype(int)] == 255).all()
        np.testing.assert_allclose(picture[y.astype(int), x.astype(int), :2] * [2, 3], there[inside], atol=4)
        assert (picture[mask == 0] == 255).all(), "white where the mask has background"


def test_the_splits_hold_out_the_last_camera_and_the_last_frames(folder):
    found = {
        split: [
            (v["timestep_index"], v["camera_index"])
            for v in json.loads((folder / f"gaussianavatars/transforms_{split}.json").read_text())["frames"]
        ]
        for split in ("train", "val", "test")
    }
    assert found == {"train": [(0, 0), (1, 0)], "val": [(1, 1)], "test": []}


def test_each_timestep_has_its_mesh(take, folder):
    view = json.loads((folder / "gaussianavatars/transforms.json").read_text())["frames"][-1]
    mesh = trimesh.load(folder / "gaussianavatars" / view["mesh_path"], process=False, maintain_order=True)
    vertices = take.meshes[0].vertices_of(1)
    np.testing.assert_allclose(mesh.bounds, [vertices.min(0) - ORIGIN, vertices.max(0) - ORIGIN], atol=1e-6)
    assert (folder / "gaussianavatars/meshes/hair/00001.obj").is_file()


def same_camera(found, wanted) -> None:
    """`found` is `wanted` with the principal point in the middle of a larger picture."""
    K = wanted.K.copy()
    K[1, 1], K[:2, 2] = K[0, 0], (found.width / 2, found.height / 2)
    np.testing.assert_allclose(found.K, K)
    assert found.lens.is_pinhole
    np.testing.assert_allclose(found.R, wanted.R, atol=1e-9)
    np.testing.assert_allclose(found.centre, wanted.centre - ORIGIN, atol=1e-9)


def test_our_reader_of_gaussianavatars_finds_cameras_pictures_and_masks_again(cameras, folder):
    name, content = read_layout("auto", folder / "gaussianavatars", ImportOptions())
    assert name == "vhap" and content["frames"] == ["00000", "00001"]
    assert content["images"].endswith("images/{frame}_{camera}.png")
    assert content["masks"]["path"].endswith("fg_masks/{frame}_{camera}.png")
    for entry, camera in zip(content["cameras"], cameras, strict=True):
        same_camera(read_camera(entry), camera)


def test_our_reader_of_colmap_finds_cameras_and_pictures_again(take, cameras, folder):
    name, content = read_layout("auto", folder / "colmap" / take.frames[1], ImportOptions())
    assert name == "colmap" and [entry["id"] for entry in content["cameras"]] == ["cam 0", "1"]
    for entry, camera in zip(content["cameras"], cameras, strict=True):
        assert Image.open(entry["images"]).size == (entry["width"], entry["height"])
        same_camera(read_camera(entry), camera)


#: In a process of its own, since COLMAP brings its own versions of libraries that Pillow and OpenCV have, too.
OPEN_IN_COLMAP = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
points = [model.points3D[number] for number in sorted(model.points3D)]
images = {
    image.name: {
        "centre": image.projection_center().tolist(), "size": [image.camera.width, image.camera.height],
        "seen": [image.project_point(point.xyz).tolist() for point in points[:50]],
    }
    for image in model.images.values()
}
points = [[*point.xyz.tolist(), *point.color.tolist()] for point in points]
json.dump({"points": points, "images": images}, sys.stdout)
"""


def test_colmap_opens_the_project(take, cameras, folder):
    if importlib.util.find_spec("pycolmap") is None:
        pytest.skip("pycolmap is not installed: pip install pycolmap")
    project = folder / "colmap" / take.frames[1]
    command = [sys.executable, "-c", OPEN_IN_COLMAP, str(project / "sparse/0")]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    points, colours = np.split(np.array(found["points"]), 2, axis=1)
    expected = np.concatenate([mesh.vertices_of(1) for mesh in take.meshes])
    np.testing.assert_allclose(points, expected - ORIGIN)
    cloud = trimesh.load(folder / "nerfstudio" / f"points_{take.frames[1]}.ply")
    np.testing.assert_array_equal(colours, cloud.colors[:, :3])
    assert set(found["images"]) == {"cam 0.png", "1.png"}
    for camera in cameras:
        image = found["images"][f"{camera.id}.png"]
        np.testing.assert_allclose(image["centre"], camera.centre - ORIGIN, atol=1e-9)
        local = expected[:50] @ camera.R.T + camera.t
        pixels = camera.K[0, 0] * local[:, :2] / local[:, 2:] + np.array(image["size"]) / 2
        np.testing.assert_allclose(image["seen"], pixels, atol=1e-6)
        assert list(Image.open(project / "masks" / f"{camera.id}.png.png").size) == image["size"]


def test_a_fisheye_lens_without_coefficients_is_no_pinhole(take, cameras):
    fisheye = replace(cameras[1], lens=make_lens("fisheye", [0.0, 0, 0, 0]))
    source = Ramp(take, [cameras[0], fisheye])
    assert (SceneCamera(source, 1, fisheye).image(1) != source.image(1, 1)).any()


@pytest.mark.parametrize("name", ["gaussianavatars", "colmap"])
def test_without_the_capture_the_error_says_so(take, tmp_path, name):
    with pytest.raises(HeadfitError, match=f"{name} needs the pictures of the capture: name it by --capture"):
        write_take(take, tmp_path, [name])
