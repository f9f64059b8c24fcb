"""A two-triangle "head" with a UV seam along its shared edge goes through every format and back."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError
from headfit.export import MeshTopology, export_meshes

VERTICES = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0.01], [0, 0.1, 0]], dtype=np.float32)


@pytest.fixture
def model():
    head = SimpleNamespace(
        vertex_count=4,
        faces=torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32),
        faces_uv=torch.tensor([[0, 1, 2], [3, 4, 5]], dtype=torch.int32),  # 0 and 2 have two UVs each
        uvs=torch.tensor([[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 0], [1, 0.25], [1, 0]]),
        face_labels=torch.tensor([1, 3]),
        label_names=("background", "skin", "hair", "lips"),
        face_parts=torch.tensor([0, 1]),
        part_names=("skin", "tongue"),
    )
    texture = np.zeros((8, 8, 3), dtype=np.uint8)
    texture[0, :, 0] = 200  # row 0 is v = 1
    return SimpleNamespace(
        head=head,
        capture=SimpleNamespace(frames=["000000", "take two"], fps=12.0, world=WorldFrame(np.zeros(3))),
        world_vertices=lambda index: (VERTICES + index).astype(np.float64),
        texture_image=lambda: texture,
        shows_hair=False,
    )


def test_npz_loads_with_plain_numpy(model, tmp_path):
    export_meshes(model, tmp_path / "new" / "folder", ["npz"])
    topology = np.load(tmp_path / "new" / "folder" / "topology.npz", allow_pickle=False)
    assert set(topology) == {
        "faces", "faces_uv", "uvs", "face_labels", "label_names", "face_parts", "part_names"
    }  # fmt: skip
    np.testing.assert_array_equal(topology["faces"], model.head.faces)
    assert list(topology["label_names"][topology["face_labels"]]) == ["skin", "lips"]
    assert list(topology["part_names"][topology["face_parts"]]) == ["skin", "tongue"]
    for index, frame in enumerate(model.capture.frames):
        vertices = np.load(tmp_path / "new" / "folder" / f"{frame}.npz", allow_pickle=False)["vertices"]
        assert vertices.dtype == np.float32
        np.testing.assert_array_equal(vertices, VERTICES + index)
    reloaded = MeshTopology.load(tmp_path / "new" / "folder" / "topology.npz")
    np.testing.assert_array_equal(reloaded.faces_uv, model.head.faces_uv)


def test_ply_and_obj_keep_the_vertex_order(model, tmp_path):
    export_meshes(model, tmp_path, ["ply", "obj"])
    for frame, offset in (("000000", 0), ("take two", 1)):
        ply = trimesh.load(tmp_path / f"{frame}.ply", process=False)
        np.testing.assert_allclose(ply.vertices, VERTICES + offset, atol=1e-7)
        np.testing.assert_array_equal(ply.faces, model.head.faces)
        lines = (tmp_path / f"{frame}.obj").read_text().splitlines()
        positions = np.array([line.split()[1:] for line in lines if line.startswith("v ")], dtype=float)
        np.testing.assert_allclose(positions, VERTICES + offset, atol=1e-6)
        assert [line for line in lines if line.startswith("f ")] == ["f 1/1/1 2/2/2 3/3/3", "f 1/4/1 3/5/3 4/6/4"]


def corner_uvs(mesh):
    """UVs per corner of the faces, `[F,3,2]`; the same before and after a split of vertices."""
    return np.asarray(mesh.visual.uv)[mesh.faces]


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_textured_formats_carry_geometry_uvs_and_picture(model, tmp_path, suffix):
    export_meshes(model, tmp_path, [suffix])
    mesh = trimesh.load(tmp_path / "take two.glb" if suffix == "glb" else tmp_path / "take two.obj", force="mesh")
    np.testing.assert_allclose(mesh.triangles, (VERTICES + 1)[model.head.faces], atol=1e-6)
    np.testing.assert_allclose(corner_uvs(mesh), model.head.uvs.numpy()[model.head.faces_uv], atol=1e-6)
    material = mesh.visual.material
    picture = np.asarray(material.baseColorTexture if suffix == "glb" else material.image)
    np.testing.assert_array_equal(picture[..., :3], model.texture_image())


def expected_normals():
    """Area-weighted over both triangles, at the vertices that they share, too: 0 and 2."""
    one, two = (
        np.cross(VERTICES[b] - VERTICES[a], VERTICES[c] - VERTICES[a]).astype(float)
        for a, b, c in ((0, 1, 2), (0, 2, 3))
    )
    normals = np.array([one + two, one, one + two, two])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def normals_in_obj(path):
    """Normal of every vertex, from the `vn` that its corners name: the last of them."""
    lines = [line.split() for line in path.read_text().splitlines()]
    normals = np.array([line[1:] for line in lines if line[0] == "vn"], dtype=float)
    corners = [corner.split("/") for line in lines if line[0] == "f" for corner in line[1:]]
    vertex, normal = (np.array([int(corner[i]) for corner in corners]) - 1 for i in (0, 2))
    np.testing.assert_array_equal(vertex, normal)
    return normals


def test_every_mesh_format_is_shaded_smoothly_across_uv_seams(model, tmp_path):
    export_meshes(model, tmp_path, ["ply", "obj", "glb"])
    expected = expected_normals()
    assert np.abs(expected[0] - expected[1]).max() > 0.01, "the example has a crease to smooth"
    ply = trimesh.load(tmp_path / "take two.ply", process=False)
    np.testing.assert_allclose(ply.vertex_normals, expected, atol=1e-5)
    np.testing.assert_allclose(normals_in_obj(tmp_path / "take two.obj"), expected, atol=1e-5)
    (glb,) = trimesh.load(tmp_path / "take two.glb", process=False).geometry.values()
    assert len(glb.vertices) == 6, "two vertices are split at the seam"
    vertex = np.abs(glb.vertices[:, None] - (VERTICES + 1)).max(-1).argmin(1)
    np.testing.assert_allclose(glb.vertex_normals, expected[vertex], atol=1e-5)
    assert glb.visual.material.doubleSided, "the inside is seen at the neck and in the mouth"


def test_normals_in_the_files_themselves(model, tmp_path):
    """trimesh computes missing normals, so the files are read without it."""
    export_meshes(model, tmp_path, ["ply", "glb"])
    data = (tmp_path / "000000.glb").read_bytes()
    gltf = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert {"POSITION", "NORMAL", "TEXCOORD_0"} <= set(gltf["meshes"][0]["primitives"][0]["attributes"])
    assert gltf["materials"][0]["doubleSided"] is True
    header = (tmp_path / "000000.ply").read_bytes().split(b"end_header")[0]
    assert [name for name in ("nx", "ny", "nz") if f"property float {name}".encode() not in header] == []


def test_normals_far_from_the_origin_and_of_a_vertex_without_faces(model, tmp_path):
    model.world_vertices = lambda index: np.concatenate([VERTICES, VERTICES[:1]]).astype(np.float64) * 100 + 4e4
    model.head.vertex_count = 5
    export_meshes(model, tmp_path, ["obj"])
    normals = normals_in_obj(tmp_path / "000000.obj")
    np.testing.assert_allclose(normals[:4], expected_normals(), atol=1e-4)
    np.testing.assert_array_equal(normals[4], [0, 0, 1])


def test_an_export_that_cannot_be_written_names_the_file(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadfitError, match=r"file: .*; a file is in the way; choose another folder"):
        export_meshes(model, tmp_path / "file", ["npz"])
    (tmp_path / "000000.obj").mkdir()
    with pytest.raises(HeadfitError, match=r"000000\.obj: Is a directory"):
        export_meshes(model, tmp_path, ["obj"])


def test_obj_shares_one_material_and_texture(model, tmp_path):
    export_meshes(model, tmp_path, ["obj"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000000.obj", "head.mtl", "head.png", "take two.obj"
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "head.png")), model.texture_image())


@pytest.mark.parametrize("formats", [["npz", "fbx"], []])
def test_unknown_formats_are_named_before_anything_is_written(model, tmp_path, formats):
    with pytest.raises(HeadfitError, match=f"{'fbx' if formats else 'none given'}.*npz, ply, obj, glb, "):
        export_meshes(model, tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()


def test_a_topology_that_misses_arrays_is_named(tmp_path):
    np.savez(tmp_path / "topology.npz", faces=np.zeros((1, 3), int))
    with pytest.raises(HeadfitError, match=r"topology\.npz: misses the arrays faces_uv"):
        MeshTopology.load(tmp_path / "topology.npz")
    with pytest.raises(HeadfitError, match="no such file"):
        MeshTopology.load(tmp_path / "none.npz")


def test_far_origins_keep_tenths_of_a_millimetre(model, tmp_path):
    """Float64 in npz; the other formats subtract the origin and say so."""
    origin = np.array([356_000.0, 4_560_000.0, 120.0])
    model.capture.world = WorldFrame(origin, scale=0.5)
    world = model.capture.world.to_world(VERTICES)
    model.world_vertices = lambda index: world
    export_meshes(model, tmp_path, ["npz", "ply", "obj", "glb"])
    vertices = np.load(tmp_path / "000000.npz")["vertices"]
    assert vertices.dtype == np.float64
    np.testing.assert_allclose(vertices - origin, 2 * VERTICES, atol=1e-8)
    for suffix in ("ply", "obj", "glb"):
        loaded = trimesh.load(tmp_path / f"000000.{suffix}", process=False, force="mesh")
        np.testing.assert_allclose(loaded.bounds, (world - origin)[[0, 2]].round(7), atol=1e-5)
    assert json.loads((tmp_path / "origin.json").read_text())["subtracted_metres"] == origin.tolist()
    assert "add (356000, 4560000, 120)" in (tmp_path / "000000.obj").read_text()
