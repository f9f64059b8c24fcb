"""A take on another head's topology."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from headfit.export.motion import HeadMotion
from headfit.export.topology import MeshTopology
from headfit.head import load
from headfit.modelling.rebake import rebake
from headfit.modelling.registration import Registration
from headfit.modelling.retarget import Binding, _Coefficients, find_motion


@pytest.fixture(scope="module")
def head():
    return load("default")


@pytest.mark.slow
def test_bound_points_move_with_the_surface(head):
    rest = head.rest().double().numpy()
    rng = np.random.default_rng(0)
    points = rest + 1e-3 * rng.normal(size=rest.shape)
    binding = Binding.of(rest, head, points, head)
    np.testing.assert_allclose(binding.carry(rest, 1.0), points, atol=1e-9)
    turn, shift = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix(), np.array([1.0, 2, 3])
    moved = binding.carry(2 * rest @ turn.T + shift, 2.0)
    np.testing.assert_allclose(moved, 2 * points @ turn.T + shift, atol=1e-9)


@pytest.mark.slow
def test_points_are_bound_to_their_own_kind_of_surface(head):
    rest = head.rest().double().numpy()
    binding = Binding.of(rest, head, rest, head)
    tongue = head.vertices_of("tongue").numpy()
    assert np.isin(binding.corners[tongue], tongue).all()


def test_vertices_without_faces_ride_on_the_nearest_surface(head):
    rest = head.rest().double().numpy()
    loose = SimpleNamespace(faces=torch.tensor([[0, 1, 2]]), face_labels=torch.zeros(1, dtype=torch.long),
                            label_names=["skin"])  # fmt: skip
    points = rest[[5, 6, 7, 500]] + [0, 0, 1e-3]
    binding = Binding.of(rest, head, points, loose)
    np.testing.assert_allclose(binding.carry(rest + 2.0, 1.0), points + 2.0, atol=1e-9)


def test_units_are_the_best_within_their_limits():
    """Two that are nearly the same, and a movement by their difference: cut to their limits they would be 0 and 1."""
    first, across = np.zeros((2, 3, 3))
    first[:, 0] = across[:, 1] = 1e-3
    moves = np.stack([first, first + 0.1 * across])
    head = SimpleNamespace(expression_names=["a", "b"], expression_lowest=torch.zeros(2), joint_names=[],
                           joint_lowest=torch.zeros(0, 6), joint_highest=torch.zeros(0, 6), vertex_count=3,
                           faces=torch.tensor([[0, 1, 2]]))  # fmt: skip

    def shape(units=None, joints=None):
        return np.zeros((1, 3, 3)) if units is None else np.einsum("be,evd->bvd", units.double().numpy(), moves)

    still = SimpleNamespace(head=head, shape=shape)
    units, _ = _Coefficients(None, still).solve(across)
    np.testing.assert_allclose(units, [[0, 0.1 / 1.01]], atol=1e-3)


@pytest.mark.slow
def test_coefficients_that_made_the_vertices_are_found_again(head):
    units, joints = torch.zeros(2, len(head.expression_names)), torch.zeros(2, len(head.joint_names), 6)
    smile = head.expression_names.index("mouthSmileLeft")
    jaw, eye = head.joint_names.index("jaw"), head.joint_names.index("left_eye")
    units[1, smile], joints[1, jaw, 0], joints[1, eye, 1] = 0.7, 0.15, 0.2
    pose = torch.tensor([[0.1, 0.2, -0.1, 0.01, 0.02, 0.03]], dtype=torch.float64)
    nothing = {"identity": torch.zeros(len(head.identity_basis)), "offsets": torch.zeros(head.cage_count, 3),
               "placement": torch.zeros(len(head.rigid_part_names), 9)}  # fmt: skip
    registered = Registration(head, 0.1, pose=pose, expression=units[:1], joints=joints[:1], **nothing)
    turns = Rotation.from_rotvec([[0, 0, 0], [0.2, 0.1, 0]]).as_matrix()
    given = HeadMotion(SimpleNamespace(), **nothing, expression=units, joints=joints, scale=1.2, rotation=turns,
                       translation=np.array([[0, 0, 0], [0.1, 0, 0]]))  # fmt: skip

    def vertices_of(frame):
        local = head(nothing["identity"], units[frame : frame + 1], joints[frame : frame + 1])[0].double().numpy()
        person = np.exp(0.1) * local @ Rotation.from_rotvec(pose[0, :3].numpy()).as_matrix().T + pose[0, 3:].numpy()
        return 1.2 * person @ turns[frame].T + given.translation[frame]

    motion = find_motion(given, registered, vertices_of)
    assert motion.expression[0].abs().max() < 0.02 and motion.joints[0].abs().max() < 0.005
    assert motion.expression[1, smile] == pytest.approx(0.7, abs=0.02)
    assert motion.joints[1, jaw, 0] == pytest.approx(0.15, abs=0.01)
    assert motion.joints[1, eye, 1] == pytest.approx(0.2, abs=0.01)
    found = motion.shape(motion.expression[1:], motion.joints[1:])[0]
    there = motion.scale * found @ motion.rotation[1].T + motion.translation[1]
    assert np.percentile(np.linalg.norm(there - vertices_of(1), axis=1), 95) < 1.5e-4


def test_a_texture_baked_into_a_mirrored_layout_is_mirrored():
    grid = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    vertices = np.column_stack([grid, np.zeros(4)])
    none = np.zeros(2, np.int32)

    def layout(uvs):
        return MeshTopology(faces, faces, uvs.astype(np.float32), none, np.array(["skin"]), none, np.array(["skin"]))

    texture = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    np.testing.assert_array_equal(rebake(layout(grid), vertices, texture, layout(grid), vertices), texture)
    mirrored = rebake(layout(grid), vertices, texture, layout(grid * [-1, 1] + [1, 0]), vertices)
    np.testing.assert_array_equal(mirrored, texture[:, ::-1])
