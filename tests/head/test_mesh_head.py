"""Any mesh with a YAML file: frames, labels, landmarks, joints, shapes, and every way to get them wrong."""

import numpy as np
import pytest
import torch
import trimesh
import yaml

from headfit.errors import HeadfitError
from headfit.head import load, resolve

pytestmark = pytest.mark.slow


def change(path, **keys):
    """Overwrite keys of a YAML file; None takes one away."""
    text = yaml.safe_load(path.read_text()) | keys
    path.write_text(yaml.safe_dump({key: value for key, value in text.items() if value is not None}, sort_keys=False))


def test_units_and_axes_are_brought_to_our_frame(mesh_yaml, sculpture):
    head = load(mesh_yaml)
    ids = sculpture.cut("skin", "left_eye", "right_eye")[0]
    np.testing.assert_allclose(head.rest().double().numpy(), sculpture.vertices[ids], atol=1e-7)


def test_what_the_yaml_names_arrives(mesh_yaml, sculpture):
    head = load(mesh_yaml)
    assert head.expression_names == ("jawOpen", "mouthSmileLeft") and len(head.identity_basis) == 0
    assert head.joint_names == ("neck", "left_eye", "right_eye") and head.joint_parents == (-1, 0, 0)
    assert (head.skinning_weights[:, 1] == 0).all(), "the neck moves nothing itself"
    assert head.rigid_part_names == ("left_eye", "right_eye")
    assert {"skin", "left_eye", "upper_lip", "lower_lip", "nose", "hair"} <= set(head.label_names)
    left = head.faces[head.faces_of("left_eye")]
    assert len(left) == len(sculpture.parts["left_eye"])
    nodded = torch.zeros(1, 3, 6)
    nodded[0, 0, 0] = 0.2
    moved = head(torch.zeros(0), torch.zeros(1, 2), nodded)[0].double().numpy() - head.rest().double().numpy()
    eye = torch.unique(left).numpy()
    assert np.linalg.norm(moved[eye], axis=1).min() > 0.01, "a joint without weights moves its children"
    both = head.vertices_of("left_eye", "right_eye").numpy()
    assert np.abs(np.delete(moved, both, 0)).max() == 0


def test_a_bare_mesh_is_a_head(mesh_yaml):
    """No labels, landmarks, joints, shapes: all skin, nothing moves but the offsets."""
    mesh_yaml.write_text("mesh: head.obj\nunits: 0.001\nup: z\nfront: -y\n")
    head = load(mesh_yaml)
    assert head.label_names == ("skin",) and not head.has_landmarks
    assert head.joint_names == head.expression_names == head.rigid_part_names == ()
    offsets = torch.zeros(head.cage_count, 3)
    offsets[5, 0] = 0.01
    moved = head(torch.zeros(0), torch.zeros(2, 0), torch.zeros(2, 0, 6), offsets=offsets, placement=torch.zeros(0, 9))
    assert moved.shape == (2, head.vertex_count, 3)
    difference = moved[1].double().numpy() - head.rest().double().numpy()
    assert difference[5, 0] == pytest.approx(0.01, abs=1e-6) and np.count_nonzero(np.abs(difference) > 1e-7) == 1


def test_landmarks_as_rows_of_face_and_weights(mesh_yaml):
    before = load(mesh_yaml)
    rows = np.column_stack([np.arange(68) * 7, np.full(68, 0.5), np.full(68, 0.3), np.full(68, 0.2)])
    change(mesh_yaml, landmarks=rows.tolist())
    head = load(mesh_yaml)
    assert torch.equal(head.landmark_faces, torch.arange(68) * 7)
    np.testing.assert_allclose(head.landmark_bary, rows[:, 1:], atol=1e-6)
    assert before.fingerprint != head.fingerprint


def test_labels_by_vertices_and_faces(mesh_yaml, tmp_path):
    (tmp_path / "some.txt").write_text("0 1\n2, 3")
    faces = load(mesh_yaml).faces.numpy()
    corner = [int(v) for v in faces[10]]
    change(
        mesh_yaml,
        labels={"tongue": {"faces": [[20, 24], 30]}, "gums": {"vertices": corner}, "hair": {"faces": "some.txt"}},
        landmarks=None,
        joints=None,
    )
    head = load(mesh_yaml)
    names = np.array(head.label_names)[head.face_labels.numpy()]
    assert np.flatnonzero(names == "tongue").tolist() == [20, 21, 22, 23, 24, 30]
    assert 10 in np.flatnonzero(names == "gums")
    assert np.flatnonzero(names == "hair").tolist() == [0, 1, 2, 3]


def test_joint_weights_from_a_file(mesh_yaml, tmp_path):
    count = load(mesh_yaml).vertex_count
    weights = np.linspace(0, 1, count)
    np.save(tmp_path / "jaw.npy", weights)
    change(mesh_yaml, joints={"jaw": {"pivot": [0, 0, 0], "weights": "jaw.npy"}})
    np.testing.assert_allclose(load(mesh_yaml).skinning_weights[:, 1], weights, atol=1e-6)


def test_identity_shapes(mesh_yaml):
    change(mesh_yaml, identity="shapes")
    head = load(mesh_yaml)
    assert len(head.identity_basis) == 2
    torch.testing.assert_close(head.identity_basis, head.expression_basis)


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_ply_and_glb(mesh_yaml, tmp_path, suffix):
    """Written as these formats are: a GLB splits vertices along seams, which are joined again."""
    obj = load(mesh_yaml)
    vertices = obj.rest().double().numpy()
    faces = obj.faces.numpy()
    if suffix == "glb":
        uv = np.random.default_rng(0).uniform(size=(3 * len(faces), 2))
        visual = trimesh.visual.TextureVisuals(uv=uv, material=trimesh.visual.material.PBRMaterial(name="M"))
        mesh = trimesh.Trimesh(
            vertices[faces.ravel()], np.arange(faces.size).reshape(-1, 3), visual=visual, process=False
        )
    else:
        mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.export(tmp_path / f"other.{suffix}")
    (tmp_path / "other.yaml").write_text(f"mesh: other.{suffix}\nlabels: {{left_eye: {{faces: [[0, 3]]}}}}\n")
    head = load(tmp_path / "other.yaml")
    corners = head.rest().double().numpy()[head.faces.numpy()]
    np.testing.assert_allclose(corners, vertices[faces], atol=1e-6)
    assert len(np.unique(head.faces.numpy())) == len(np.unique(faces)), "one vertex where faces meet"
    assert len(head.neck_loop) == len(obj.neck_loop)
    if suffix == "glb":
        change(tmp_path / "other.yaml", labels={"tongue": {"material": "M"}})
        assert (load(tmp_path / "other.yaml").face_labels == 1).all()


def test_our_mouth_and_eyes_can_be_put_in(mesh_yaml, sculpture):
    faces = sculpture.cut("skin")[1]
    change(mesh_yaml, interior="default")
    with_eyes = load(mesh_yaml)
    assert {"upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity"} <= set(with_eyes.label_names)
    assert with_eyes.joint_names == ("neck", "left_eye", "right_eye"), "no jaw, so no tongue's joint"
    change(mesh_yaml, labels=None, joints=None)  # its eyeballs are now skin as far as anyone knows
    head = load(mesh_yaml)
    assert head.joint_names == ("left_eye", "right_eye")
    rest = head.rest().double().numpy()
    for name in ("left_eye", "right_eye"):
        ball = np.unique(head.faces[head.faces_of(name)])
        truth = sculpture.vertices[np.unique(sculpture.parts[name])].mean(0)
        assert np.linalg.norm(rest[ball].mean(0) - truth) < 0.003
    assert len(head.faces) > len(faces)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"mesh": None}, "lacks the key mesh"),
        ({"mesh": "none.obj"}, r"none\.obj: no such file"),
        ({"mesh": "head.yaml"}, "not a mesh format that can be read"),
        ({"unit": "mm"}, "unknown key unit; known: mesh, units"),
        ({"units": "inch"}, "units: 'inch'"),
        ({"up": "w"}, "up: 'w'"),
        ({"up": "-y"}, "up and front lie along one axis"),
        ({"blendshapes": "none"}, "blendshapes: no mesh in"),
        ({"labels": {"left_eie": {"faces": [0]}}}, "unknown label name 'left_eie'. Did you mean 'left_eye'"),
        ({"labels": {"tongue": {"material": "none"}}}, "labels: tongue: no face"),
        ({"labels": {"tongue": {"faces": [10**6]}}}, "numbers must lie between 0 and"),
        ({"labels": {"tongue": {"faces": ["x"]}}}, "expected numbers, pairs"),
        ({"labels": {"tongue": [1, 2]}}, "expected keys and values"),
        ({"landmarks": [1, 2, 3]}, "expected 68 vertex numbers"),
        ({"landmarks": "none.json"}, "none.json: No such file"),
        ({"joints": {"jaw": {"parent": "neck", "pivot": [0, 0, 0]}}}, "parent neck: no joint of that name precedes it"),
        ({"joints": {"jaw": {"pivot": [0, 0]}}}, "pivot: expected three numbers"),
        ({"joints": {"jaw": {"pivot": [0, 0, 0], "weights": "none.npy"}}}, "weights: .*none.npy"),
        (
            {"joints": {name: {"pivot": [0, 0, 0], "labels": ["left_eye"]} for name in ("a", "b")}},
            "add up to more than 1",
        ),
        ({"interior": "mine"}, "expected none or default"),
        ({"interior": "default", "landmarks": None}, "needs landmarks"),
    ],
)
def test_mistakes_are_named(mesh_yaml, keys, complaint):
    change(mesh_yaml, **keys)
    with pytest.raises(HeadfitError, match=complaint):
        load(mesh_yaml)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("v 0 0 0\nv 1 0 x\nf 1 2 1\n", "cannot be read as an OBJ"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "has no faces"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "a face refers to a vertex that does not exist"),
        ("v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n", "not finite"),
    ],
)
def test_broken_meshes_are_named(tmp_path, text, complaint):
    (tmp_path / "head.obj").write_text(text)
    (tmp_path / "head.yaml").write_text("mesh: head.obj\n")
    with pytest.raises(HeadfitError, match=rf"head\.obj.*{complaint}"):
        load(tmp_path / "head.yaml")


def test_polygons_negative_numbers_and_uvs_of_an_obj(tmp_path):
    (tmp_path / "head.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0.5 1.5 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt .5 1\n"
        "f -5/-5 -4/-4 -3/-3 -1/-1 -2/-2\n"
    )
    (tmp_path / "head.yaml").write_text("mesh: head.obj\n")
    head = load(tmp_path / "head.yaml")
    assert head.faces.tolist() == [[0, 1, 2], [0, 2, 4], [0, 4, 3]]
    corner_uvs = head.uvs[head.faces_uv.long()]
    assert corner_uvs[0].tolist() == [[0, 0], [1, 0], [1, 1]] and corner_uvs[1, 2].tolist() == [0.5, 1]


def test_paths_and_names(mesh_yaml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("default") == "default" and resolve("head.yaml") == str(mesh_yaml)
    with pytest.raises(HeadfitError, match="no such file or folder"):
        resolve("nothing.yaml")
    with pytest.raises(HeadfitError, match="not a head model: expected an ICT-FaceKit folder"):
        load("head.obj")
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    with pytest.raises(HeadfitError, match="cannot be read as an npz archive"):
        load("damaged.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(HeadfitError, match="not a head model: missing"):
        load("other.npz")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("faces", lambda a: a + 10**6, "faces holds indices outside"),
        ("mean", lambda a: a * np.nan, "mean contains values that are not finite"),
        ("pivots", lambda a: a[:-1], "pivots has shape"),
        ("joint_parents", lambda a: a[::-1], "a joint must come after its parent"),
        ("landmark_faces", lambda a: a[:50], "landmark_bary has shape|50 landmarks"),
    ],
)
def test_our_own_layout_is_checked_too(tmp_path, name, value, complaint):
    from headfit.assets import asset_path

    with np.load(asset_path("models/default/head.npz")) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = value(arrays[name])
    np.savez(tmp_path / "head.npz", **arrays)
    with pytest.raises(HeadfitError, match=complaint):
        load(tmp_path / "head.npz")
