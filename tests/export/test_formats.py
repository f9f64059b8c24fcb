"""A two-triangle "head" with a UV seam along its shared edge goes through every format and back."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from headfit.errors import HeadfitError
from headfit.export import FORMATS, MeshTopology, export_meshes

VERTICES = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0.01], [0, 0.1, 0]], dtype=np.float32)


@pytest.fixture
def model():
    head = SimpleNamespace(
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
        capture=SimpleNamespace(frames=["000000", "take two"], fps=12.0),
        vertices=lambda index: torch.from_numpy(VERTICES + index),
        texture_image=lambda: texture,
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
        assert [line for line in lines if line.startswith("f ")] == ["f 1/1 2/2 3/3", "f 1/4 3/5 4/6"]


def corner_uvs(mesh):
    """UVs per corner of the faces, [F,3,2]; the same before and after a split of vertices."""
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


def test_obj_shares_one_material_and_texture(model, tmp_path):
    export_meshes(model, tmp_path, ["obj"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000000.obj", "head.mtl", "head.png", "take two.obj"
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "head.png")), model.texture_image())


@pytest.mark.parametrize("formats", [["npz", "fbx"], []])
def test_unknown_formats_are_named_before_anything_is_written(model, tmp_path, formats):
    with pytest.raises(HeadfitError, match=f"{'fbx' if formats else 'none given'}.*npz, ply, obj, glb"):
        export_meshes(model, tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()
    assert list(FORMATS) == ["npz", "ply", "obj", "glb"]


def test_a_topology_that_misses_arrays_is_named(tmp_path):
    np.savez(tmp_path / "topology.npz", faces=np.zeros((1, 3), int))
    with pytest.raises(HeadfitError, match=r"topology\.npz: misses the arrays faces_uv"):
        MeshTopology.load(tmp_path / "topology.npz")
    with pytest.raises(HeadfitError, match="no such file"):
        MeshTopology.load(tmp_path / "none.npz")
