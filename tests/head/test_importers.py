"""Other makers' heads through `load`: what arrives in our head, from files in their exact layouts."""

import pickle

import numpy as np
import pytest
import torch

from headfit.errors import HeadfitError
from headfit.head import HeadModel, load
from headfit.head.importers.imported import SIGMAS
from headfit.head.rotation import axis_angle_to_matrix

pytestmark = pytest.mark.slow


def zeros(head: HeadModel) -> list[torch.Tensor]:
    return [
        torch.zeros(len(head.identity_basis)),
        torch.zeros(1, len(head.expression_names)),
        torch.zeros(1, len(head.joint_names), 6),
    ]


def pose(head: HeadModel, units=None, joints=None, identity: tuple[int, float] | None = None) -> np.ndarray:
    """Vertices `[V,3]` of `head.pose`; identity as the index and value of one component."""
    components = torch.zeros(len(head.identity_basis))
    if identity:
        components[identity[0]] = identity[1]
    return head.pose(units, joints, components).double().numpy()


def landmark_error(head: HeadModel, points: np.ndarray) -> np.ndarray:
    """Distances `[68]` in metres of the head's landmarks from their true positions."""
    found = head.landmarks(head.rest().double()).numpy()
    return np.linalg.norm(found - points, axis=1)


def assert_can_be_fitted(head: HeadModel) -> None:
    """Every argument gets a finite gradient, the texture has room for all, and the neck is found."""
    inputs = [value.requires_grad_() for value in zeros(head)]
    offsets = torch.zeros(head.cage_count, 3, requires_grad=True)
    placement = torch.zeros(len(head.rigid_part_names), 9, requires_grad=True)
    head(*inputs, offsets=offsets, placement=placement).square().sum().backward()
    for value in (*inputs, offsets, placement):
        assert value.grad is not None and torch.isfinite(value.grad).all()
    assert head.uvs.min() >= 0 and head.uvs.max() <= 1
    vertices = pose(head)
    loop = head.neck_loop.numpy()
    assert len(loop) > 10 and vertices[loop, 1].max() < np.median(vertices[:, 1])


# ---- FLAME ------------------------------------------------------------------------------------------------------


def test_flame_2020_arrives_whole(flame_head, flame):
    head = flame_head
    own = len(flame.data["v_template"])
    np.testing.assert_allclose(pose(head)[:own], flame.data["v_template"], atol=1e-7)
    assert head.joint_names == ("neck", "jaw", "left_eye", "right_eye", "tongue")
    assert head.joint_parents == (-1, 0, 0, 0, 1)
    assert (len(head.identity_basis), len(head.expression_names)) == (4, 100)
    assert_can_be_fitted(head)


def flame_by_its_paper(data: dict[str, np.ndarray], betas: np.ndarray, rotations: dict[int, np.ndarray]) -> np.ndarray:
    """Vertices of FLAME's own formula (Li et al. 2017, eq. 1 to 5), in numpy, joint by joint."""
    matrices = np.stack([axis_angle_to_matrix(torch.tensor(rotations.get(j, np.zeros(3)))).numpy() for j in range(5)])
    shaped = data["v_template"] + data["shapedirs"] @ betas
    joints = data["J_regressor"] @ shaped
    posed = shaped + data["posedirs"] @ (matrices[1:] - np.eye(3)).ravel()
    world: list[np.ndarray] = []
    for j in range(5):
        local = np.eye(4)
        local[:3, :3] = matrices[j]
        local[:3, 3] = joints[j] - matrices[j] @ joints[j]
        world.append(local if j == 0 else world[data["kintree_table"][0, j]] @ local)
    blended = np.einsum("vj,jrc->vrc", data["weights"], np.stack(world))
    return np.einsum("vrc,vc->vr", blended, np.column_stack([posed, np.ones(len(posed))]))[:, :3]


def test_flame_moves_by_its_own_formula_pose_correctives_included(flame_head, flame):
    head = flame_head
    rotations = {1: [0.1, -0.2, 0.05], 2: [0.3, 0.02, 0.0], 3: [0.0, 0.2, 0.0], 4: [-0.1, 0.0, 0.0]}
    betas = np.zeros(104)
    betas[1], betas[4 + 7] = 1.3, -0.9
    expected = flame_by_its_paper(flame.data, betas, {j: np.array(r) for j, r in rotations.items()})
    found = pose(
        head,
        {"expression007": -0.9 / SIGMAS},
        dict(zip(("neck", "jaw", "left_eye", "right_eye"), rotations.values(), strict=True)),
        identity=(1, 1.3),
    )
    np.testing.assert_allclose(found[: len(expected)], expected, atol=2e-6)


def test_flame_2023_without_chumpy_and_as_npz_is_the_same_head(flame_2020, flame, write_embedding, tmp_path):
    write_embedding(tmp_path)  # spares the search for landmarks
    (tmp_path / "flame2023.pkl").write_bytes(pickle.dumps(flame.data))
    np.savez(tmp_path / "flame2023.npz", **flame.data)
    prints = {load(path).fingerprint for path in (flame_2020, tmp_path / "flame2023.pkl", tmp_path / "flame2023.npz")}
    assert len(prints) == 1


def test_without_an_embedding_flames_landmarks_are_found_by_its_shape(flame_head, flame):
    error = 1000 * landmark_error(flame_head, flame.sculpture.points)
    assert np.median(error) < 1.5 and error[36:48].max() < 3 and error[48:].max() < 2, error  # eyes, mouth
    assert error.max() < 12, "the jaw line slides along the skin"


def test_an_embedding_beside_the_pickle_gives_the_landmarks(flame_2020, flame, write_embedding):
    write_embedding(flame_2020.parent)
    head = load(flame_2020)
    np.testing.assert_allclose(landmark_error(head, flame.data["v_template"][flame.landmarks]), np.zeros(68), atol=1e-7)
    write_embedding(flame_2020.parent, count=51)
    with pytest.raises(HeadfitError, match=r"landmark_embedding\.npy: lacks 68 landmarks"):
        load(flame_2020)


def test_our_mouth_sits_in_flame_and_rides_on_its_joints(flame_head, flame):
    head = flame_head
    rest, points = pose(head), flame.sculpture.points
    own = len(flame.data["v_template"])
    truth = flame.sculpture
    for label, part in (("upper_teeth", "upper_teeth"), ("lower_teeth", "lower_teeth"), ("tongue", "tongue")):
        ids = head.vertices_of(label)
        assert ids.min() >= own
        there = truth.vertices[np.unique(truth.parts[part])]
        assert np.linalg.norm(rest[ids].mean(0) - there.mean(0)) < 0.004, f"{label} lie where the sculptor has them"
        assert rest[ids, 2].max() < points[[51, 57], 2].max(), "behind the lips"
    lower, upper = head.vertices_of("lower_teeth"), head.vertices_of("upper_teeth")
    opened = pose(head, joints={"jaw": (0.3, 0.0, 0.0)})
    assert (opened - rest)[lower, 1].max() < -0.005
    assert np.abs(opened - rest)[upper].max() < 1e-6
    distances = [np.linalg.norm(v[lower[0]] - v[lower], axis=1) for v in (rest, opened)]
    np.testing.assert_allclose(*distances, atol=1e-6, err_msg="teeth stay rigid")
    nodded = pose(head, joints={"neck": (0.2, 0.0, 0.0)})
    assert np.abs(nodded - rest)[upper].max() > 0.005, "the skull's joint carries them"
    # The rim of the cavity keeps with the lips, under identity too.
    cavity, lips = head.vertices_of("mouth_cavity"), head.vertices_of("upper_lip", "lower_lip")
    lips = lips[lips < own]
    for moved in (rest, pose(head, identity=(0, 2.0)), pose(head, {"expression003": 1.0})):
        gap = np.linalg.norm(moved[cavity][:, None] - moved[lips][None], axis=2).min(1)
        assert gap.min() < 0.004


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.pop("posedirs"), "lacks posedirs"),
        (lambda d: d.update(weights=d["weights"][:-1]), "weights has shape"),
        (lambda d: d.update(f=d["f"] + 10**6), "vertices that do not exist"),
        (lambda d: d.update(J_regressor="text"), "J_regressor is not an array of numbers"),
        (lambda d: d["v_template"].__setitem__((0, 0), np.nan), "not finite|finite"),
    ],
)
def test_a_broken_flame_file_is_named(flame, tmp_path, change, complaint):
    data = {key: value.copy() for key, value in flame.data.items()}
    change(data)
    path = tmp_path / "broken.pkl"
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(HeadfitError, match=rf"{path}.*({complaint})"):
        load(path)


# ---- GNM --------------------------------------------------------------------------------------------------------


def test_gnm_arrives_whole(gnm_head, gnm_arrays, sculpture):
    head = gnm_head
    np.testing.assert_allclose(pose(head), gnm_arrays["template_vertex_positions"], atol=1e-7)
    assert head.joint_names == ("head", "left_eye", "right_eye") and head.joint_parents == (-1, 0, 0)
    assert head.expression_names == tuple(gnm_arrays["expression_names"])
    shift = pose(head, {"lower_face_region_001": 1.0}) - pose(head)
    np.testing.assert_allclose(shift, SIGMAS * gnm_arrays["expression_basis"][1], atol=1e-6)
    shift = pose(head, identity=(2, -1.0)) - pose(head)
    np.testing.assert_allclose(shift, -gnm_arrays["vertex_identity_basis"][2], atol=1e-6)
    labels = {"mouth_cavity", "upper_teeth", "lower_teeth", "gums", "tongue", "left_eye", "right_eye", "upper_lip"}
    assert labels <= set(head.label_names)
    assert set(head.rigid_part_names) == {"upper_teeth", "lower_teeth", "tongue", "left_eye", "right_eye"}
    assert np.median(landmark_error(head, sculpture.points)) < 0.0015
    assert_can_be_fitted(head)


def test_gnm_components_that_share_a_texture_square_are_moved_apart(gnm_head):
    head = gnm_head
    boxes = []
    cavity = head.face_labels == head.label_names.index("mouth_cavity")  # of the skin's piece, but a chart of its own
    charts = torch.unique(2 * head.face_parts + cavity, return_inverse=True)[1]
    for chart in range(int(charts.max()) + 1):
        uv = head.uvs[head.faces_uv[charts == chart].long()].flatten(0, 1)
        boxes.append((uv.amin(0), uv.amax(0)))
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert ((high < other_low) | (other_high < low)).any()


def test_gnm_eyes_follow_the_heads_turn_about_its_own_pivot(gnm_head, gnm_arrays):
    head = gnm_head
    turn = torch.tensor([0.0, 0.4, 0.0])
    moved = pose(head, joints={"head": turn.tolist()})
    pivot = gnm_arrays["template_joint_positions"][1]
    eye = np.flatnonzero(gnm_arrays["skinning_weights"][2] == 1)
    rotation = axis_angle_to_matrix(turn).numpy()
    expected = (gnm_arrays["template_vertex_positions"][eye] - pivot) @ rotation.T + pivot
    np.testing.assert_allclose(moved[eye], expected, atol=1e-6)


def test_gnm_pose_correctives_are_carried_where_there_are_some(gnm_arrays, tmp_path):
    generator = np.random.default_rng(0)
    arrays = {key: value for key, value in gnm_arrays.items() if not key.startswith("vertex_group")}
    arrays["pose_correctives_regressor"] = 1e-3 * generator.normal(size=(36, 3 * len(arrays["skinning_weights"][0])))
    np.savez(tmp_path / "head.npz", **arrays)
    head = load(tmp_path / "head.npz")
    turn = torch.tensor([0.1, 0.2, -0.1])
    moved = pose(head, joints={"left_eye": turn.tolist()})
    features = np.zeros((4, 3, 3))
    features[2] = axis_angle_to_matrix(turn).numpy() - np.eye(3)
    corrected = (features.ravel() @ arrays["pose_correctives_regressor"]).reshape(-1, 3)
    still = gnm_arrays["skinning_weights"][2] == 0  # what the eye's joint does not turn moves by the correctives alone
    np.testing.assert_allclose((moved - pose(head))[still], corrected[still], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": np.array("2.0")}, "only GNM Head 3"),
        ({"variant": np.array("body")}, "only GNM Head 3"),
        ({"triangles": np.array([[0, 1, 10**6]])}, "triangle_uvs has shape|not there"),
        ({"skinning_weights": np.zeros((3, 3))}, "skinning_weights has shape"),
    ],
)
def test_a_broken_gnm_file_is_named(gnm_arrays, tmp_path, change, complaint):
    path = tmp_path / "head.npz"
    np.savez(path, **(gnm_arrays | change))
    with pytest.raises(HeadfitError, match=rf"{path}.*({complaint})"):
        load(path)
    np.savez(path, **{key: value for key, value in gnm_arrays.items() if key != "joint_names"})
    with pytest.raises(HeadfitError, match="lacks joint_names"):
        load(path)


# ---- ICT-FaceKit ------------------------------------------------------------------------------------------------


def test_ict_arrives_whole(ict_head, sculpture):
    head = ict_head
    assert head.vertex_count == 24591, "overlays after the eyeballs are dropped"
    assert head.faces.max() < 24591
    assert len(head.identity_basis) == 2
    assert head.expression_names == ("eyeBlinkLeft", "eyeLookInLeft", "jawOpen")
    np.testing.assert_allclose(pose(head)[1225], sculpture.vertices[sculpture.landmarks[0]], atol=1e-6)
    opened = pose(head, {"jawOpen": 0.5}) - pose(head)
    np.testing.assert_allclose(opened, np.tile([0, -0.01, 0], (24591, 1)), atol=1e-6)
    assert len(head.faces) == sum(len(faces) for faces in sculpture.parts.values()), "every quad is two triangles"
    error = landmark_error(head, sculpture.vertices[sculpture.landmarks])
    np.testing.assert_allclose(error, 0, atol=1e-6)
    assert_can_be_fitted(head)


def test_ict_labels_come_from_its_ranges_and_the_landmarks(ict_head):
    head = ict_head
    rest = pose(head)
    labels = {"skin", "nose", "hair", "ears", "neck", "upper_lip", "lower_lip", "mouth_cavity", "gums", "tongue"}
    assert labels | {"upper_teeth", "lower_teeth", "left_eye", "right_eye"} <= set(head.label_names)
    left, right = (rest[head.vertices_of(name)].mean(0) for name in ("left_eye", "right_eye"))
    assert left[0] > 0 > right[0]
    upper, lower = (rest[head.vertices_of(f"{side}_lip")].mean(0) for side in ("upper", "lower"))
    assert upper[1] > lower[1]
    tongue = head.vertices_of("tongue")
    assert tongue.min() >= 16000 and tongue.max() < 17039, "the piece that lies away from the teeth"


def test_ict_eyes_turn_by_joints_only(ict_head):
    head = ict_head
    ball = head.vertices_of("left_eye")
    rest = pose(head)
    gaze = pose(head, {"eyeLookInLeft": 1.0}) - rest
    assert np.abs(gaze[ball]).max() == 0 and np.abs(gaze[0]).max() > 0.001
    turned = pose(head, joints={"left_eye": (0.0, 0.3, 0.0)}) - rest
    assert np.linalg.norm(turned[ball], axis=1).max() > 0.002
    assert np.linalg.norm(turned[ball].mean(0)) < 0.001, "about its own centre"
    assert np.abs(np.delete(turned, ball, 0)).max() < 1e-7


def test_folders_that_are_not_ict_are_named(ict_folder, tmp_path):
    with pytest.raises(HeadfitError, match=r"lacks generic_neutral_mesh.obj"):
        load(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(HeadfitError, match="has 3 vertices, expected 26719"):
        load(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").write_text((ict_folder / "generic_neutral_mesh.obj").read_text())
    (tmp_path / "jawOpen.obj").write_text("v 0 0 0\n")
    with pytest.raises(HeadfitError, match=r"jawOpen.obj: has 1 vertices, the neutral mesh has 26719"):
        load(tmp_path)
