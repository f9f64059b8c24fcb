"""The head as a function: what each argument moves, its gradients, its frame and its limits."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from headfit.errors import HeadfitError
from headfit.head import load
from headfit.head.model import HeadModel
from headfit.head.rotation import axis_angle_to_matrix
from headfit.head.sparse import SparseMatrix


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


@pytest.fixture(scope="module")
def rest(head: HeadModel) -> torch.Tensor:
    return head.rest()


def test_frame_and_size(head, rest):
    left, right = (rest[head.vertices_of(f"{side}_eye")].mean(0) for side in ("left", "right"))
    assert left[0] > 0 > right[0], "x is the subject's left"
    assert abs(left[0] - right[0] - 0.063) < 0.003, "metres: pupils 63 mm apart"
    teeth = rest[head.vertices_of("upper_teeth")].mean(0)
    assert teeth[1] < left[1], "y is up"
    skin = rest[head.vertices_of("skin", "hair", "nose")]
    assert rest[head.vertices_of("nose")][:, 2].max() == skin[:, 2].max(), "z is front: the nose is foremost"
    assert 0.2 < skin[:, 1].max() - skin[:, 1].min() < 0.4


def test_a_pose_by_name_is_the_function_of_its_arguments(head):
    expression, joints = torch.zeros(1, len(head.expression_names)), torch.zeros(1, len(head.joint_names), 6)
    expression[0, head.expression_names.index("mouthPucker")] = 0.7
    joints[0, head.joint_names.index("jaw")] = torch.tensor([0.1, 0.02, 0, 0.001, 0, 0.003])
    joints[0, head.joint_names.index("neck"), :3] = torch.tensor([0, 0.2, 0])
    identity = torch.randn(len(head.identity_basis), generator=torch.Generator().manual_seed(0))
    moved = head.pose({"mouthPucker": 0.7}, {"jaw": (0.1, 0.02, 0, 0.001, 0, 0.003), "neck": (0, 0.2, 0)}, identity)
    with torch.no_grad():
        assert torch.equal(moved, head(identity, expression, joints)[0])
        assert torch.equal(head.rest(), head(0 * identity, 0 * expression, 0 * joints)[0])


def test_unknown_names_are_answered_with_the_nearest(head):
    with pytest.raises(HeadfitError, match=r"no expression unit 'jawOpne'\. Did you mean 'jawOpen'\?"):
        head.pose({"jawOpne": 1.0})
    with pytest.raises(HeadfitError, match=r"no joint 'jow'\. Did you mean 'jaw'\? Known: neck, jaw"):
        head.pose(joints={"jow": (0.1, 0, 0)})
    with pytest.raises(HeadfitError, match="joint jaw: 2 numbers, expected 3"):
        head.pose(joints={"jaw": (0.1, 0)})
    with pytest.raises(HeadfitError, match=r"no label 'toung'\. Did you mean 'tongue'\?"):
        head.vertices_of("skin", "toung")


def test_labels_choose_faces_and_their_vertices(head):
    faces = head.faces_of("nose", "upper_lip")
    expected = [i for i, label in enumerate(head.face_labels) if head.label_names[label] in ("nose", "upper_lip")]
    assert faces.tolist() == expected and faces.dtype == torch.int64
    assert torch.equal(head.vertices_of("nose", "upper_lip"), torch.unique(head.faces[expected]).long())
    assert len(head.faces_of("lips")) == 0, "a label that this head lacks"


def test_landmarks_are_points_of_their_faces(head, rest):
    points = head.landmarks(torch.stack([rest, 2 * rest]))
    assert points.shape == (2, 68, 3)
    face = head.faces[head.landmark_faces[30]].long()
    torch.testing.assert_close(points[0, 30], head.landmark_bary[30] @ rest[face])
    torch.testing.assert_close(points[1], 2 * points[0])
    jaw, nose_tip = points[0, 8], points[0, 30]
    assert jaw[1] < nose_tip[1] and nose_tip[2] > jaw[2] and points[0, 36, 0] < 0 < points[0, 45, 0], "iBUG order"


@pytest.mark.slow
def test_topology_is_sound(head):
    faces = head.faces.long()
    assert faces.min() == 0 and torch.equal(torch.unique(faces), torch.arange(head.vertex_count))
    assert (faces[:, 0] != faces[:, 1]).all() and (faces[:, 1] != faces[:, 2]).all()
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, count = torch.unique(sides, dim=0, return_counts=True)
    assert count.max() == 1, "consistently wound: a directed edge has one face"
    assert head.face_labels.max() < len(head.label_names) and head.face_parts.max() < len(head.part_names)
    assert head.uvs.min() >= 0 and head.uvs.max() <= 1
    loop = head.neck_loop
    ring = {tuple(sorted(edge)) for edge in zip(loop.tolist(), loop.roll(-1).tolist(), strict=True)}
    assert ring <= {tuple(sorted(edge)) for edge in sides.tolist()}, "the neck loop runs along edges"


def test_solids_face_outwards(head, rest):
    for label in ("left_eye", "right_eye"):
        ids = head.vertices_of(label)
        corners = rest[head.faces[head.faces_of(label)].long()]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        outward = corners.mean(1) - rest[ids].mean(0)
        assert ((normal * outward).sum(-1) > 0).float().mean() > 0.99


@pytest.mark.parametrize(
    ("label", "part_axis", "joint", "turn"),
    [("left_eye", 0, "left_eye", (0.0, 0.3, 0.0)), ("right_eye", 0, "right_eye", (0.0, 0.3, 0.0))],
)
def test_an_eye_turns_to_its_left_about_its_own_centre(head, rest, label, part_axis, joint, turn):
    ids = head.vertices_of(label)
    moved = head.pose(joints={joint: turn})
    front = ids[rest[ids, 2].argmax()]
    assert moved[front, part_axis] > rest[front, part_axis] + 0.002, "a positive turn about y looks to the left"
    radius = (rest[ids] - rest[ids].mean(0)).norm(dim=1).mean()
    assert (moved[ids].mean(0) - rest[ids].mean(0)).norm() < 0.1 * radius
    other = head.vertices_of("right_eye" if label == "left_eye" else "left_eye", "nose", "upper_lip", "hair")
    assert (moved[other] - rest[other]).norm(dim=1).max() < 1e-6


@pytest.mark.parametrize(("joint", "tag"), [("left_eye", "Left"), ("right_eye", "Right")])
@pytest.mark.parametrize(("turn", "way"), [((0.6, 0.0, 0.0), "Down"), ((-0.5, 0.0, 0.0), "Up")])
def test_the_lids_ride_on_a_turning_eye(head, rest, joint, tag, turn, way):
    """Turned by the angle that an eyeLook unit is made for, the eye brings the unit's shape along."""
    skin = head.vertices_of("skin")
    by_unit = head.pose({f"eyeLook{way}{tag}": 1.0})[skin]
    by_joint = head.pose(joints={joint: turn})[skin]
    assert (by_unit - rest[skin]).norm(dim=1).max() > 0.001
    torch.testing.assert_close(by_joint, by_unit, atol=2e-5, rtol=0)


def test_turning_the_jaw_gives_the_shape_of_opening_it(head, rest):
    """At the angle of jawOpen the joint, its weights and its corrective make the unit's shape."""
    by_unit = head.pose({"jawOpen": 1.0})
    teeth = head.vertices_of("lower_teeth")
    before, after = (v[teeth] - v[teeth].mean(0) for v in (rest, by_unit))
    left, _, right = torch.linalg.svd(after.T @ before)
    angle = float(torch.atan2((left @ right)[2, 1], (left @ right)[1, 1]))
    by_joint = head.pose(joints={"jaw": (angle, 0, 0)})
    soft = head.vertices_of("skin", "upper_lip", "lower_lip", "nose", "neck")
    assert (by_unit - rest)[soft].norm(dim=1).max() > 0.02
    assert (by_joint - by_unit)[soft].norm(dim=1).max() < 5e-5


def test_the_neck_bends_at_two_joints(head, rest):
    loop = head.neck_loop
    upper, lower = (head.pose(joints={name: (0.3, 0, 0)}) for name in ("neck", "lower_neck"))
    face = head.vertices_of("nose", "brows", "upper_teeth")
    for moved in (upper, lower):
        assert (moved[face] - rest[face]).norm(dim=1).max() < 2e-3, "the skull is the root"
        assert (moved[loop] - rest[loop]).norm(dim=1).min() > 0.005
    moved = [(v - rest).norm(dim=1) > 0.002 for v in (upper, lower)]
    assert (moved[1] & ~moved[0]).sum() == 0 and moved[0].sum() > 1.5 * moved[1].sum(), "the lower bends less of it"


def test_the_last_identity_component_is_the_radius_of_the_irises(head, rest):
    identity = torch.zeros(len(head.identity_basis))
    identity[-1] = 2.0
    moved = head.pose(identity=identity)
    eye = head.vertices_of("left_eye")
    others = np.setdiff1d(np.arange(head.vertex_count), head.vertices_of("left_eye", "right_eye"))
    assert (moved[others] - rest[others]).norm(dim=1).max() < 1e-6
    centre = head.pivots[head.joint_names.index("left_eye")]
    # The limbus is where the cornea, of a smaller radius, ends: the outermost ring that is further off than the sclera.
    off_axis = [
        ((v[eye] - centre)[:, :2].norm(dim=1))[(rest[eye] - centre).norm(dim=1) > 0.01201].max() for v in (rest, moved)
    ]
    assert abs(off_axis[1] - off_axis[0] - 0.0005) < 1e-4, "two standard deviations of 0.25 mm"


def test_joints_have_limits_around_rest(head):
    assert (head.joint_lowest < 0).all() and (head.joint_highest > 0).all()
    jaw = head.joint_names.index("jaw")
    assert head.joint_highest[jaw, 0] > 5 * -head.joint_lowest[jaw, 0], "a jaw opens, it does not close further"


@pytest.mark.parametrize(
    ("unit", "axis", "sign"),
    [("tongueUp", 1, 1), ("tongueDown", 1, -1), ("tongueLeft", 0, 1), ("tongueRight", 0, -1), ("tongueOut", 2, 1)],
)
def test_the_tongue_has_its_own_units(head, rest, unit, axis, sign):
    tongue = head.vertices_of("tongue")
    tip = tongue[rest[tongue, 2] > rest[tongue, 2].max() - 0.006]
    root = tongue[rest[tongue, 2] < rest[tongue, 2].min() + 0.015]
    moved = head.pose({unit: 1.0}) - rest
    assert sign * moved[tip, axis].mean() > 0.003
    assert moved[root].norm(dim=1).max() < 0.6 * moved[tip].norm(dim=1).mean()
    assert moved[head.vertices_of("lower_teeth")].norm(dim=1).max() == 0
    assert moved[head.vertices_of("nose")].norm(dim=1).max() < 1e-4


def test_rolling_the_tongue_raises_its_sides(head, rest):
    tongue = head.vertices_of("tongue")
    front = tongue[rest[tongue, 2] > rest[tongue, 2].max() - 0.02]
    moved = head.pose({"tongueRoll": 1.0})
    side = rest[front, 0].abs() > 0.75 * rest[front, 0].abs().max()
    middle = rest[front, 0].abs() < 0.2 * rest[front, 0].abs().max()
    rise = (moved - rest)[front, 1]
    assert rise[side].mean() > rise[middle].mean() + 0.004
    assert moved[front, 0].abs().max() < 0.85 * rest[front, 0].abs().max(), "and makes it narrower"


def test_the_jaw_carries_lower_teeth_and_chin_and_leaves_the_skull(head, rest):
    moved = head.pose(joints={"jaw": (0.25, 0, 0)})
    shift = moved - rest
    lower, upper = head.vertices_of("lower_teeth"), head.vertices_of("upper_teeth")
    assert shift[lower, 1].max() < -0.005, "a positive turn about x opens"
    assert shift[upper].norm(dim=1).max() < 1e-6
    assert shift[head.vertices_of("hair")].norm(dim=1).max() < 1e-3
    before = torch.pdist(rest[lower][::40])
    torch.testing.assert_close(torch.pdist(moved[lower][::40]), before, atol=2e-5, rtol=0, msg="teeth stay rigid")


def test_blinking_covers_the_eyes_and_leaves_the_mouth(head, rest):
    moved = head.pose(units={"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0})
    assert (moved - rest)[head.vertices_of("lower_lip", "lower_teeth")].norm(dim=1).max() < 1e-3
    assert (moved - rest).norm(dim=1).max() > 0.005


def test_units_and_identity_are_linear_and_batches_are_independent(head, rest):
    units = {"mouthSmileLeft": 0.5, "jawOpen": 0.2}
    half, full = head.pose(units) - rest, head.pose({k: 2 * v for k, v in units.items()}) - rest
    torch.testing.assert_close(2 * half, full, atol=2e-6, rtol=0)
    identity = torch.randn(2, len(head.identity_basis), generator=torch.Generator().manual_seed(0))
    zeros = torch.zeros(2, len(head.expression_names)), torch.zeros(2, len(head.joint_names), 6)
    with torch.no_grad():
        both = head(identity, *zeros)
        one = head(identity[1], zeros[0][:1], zeros[1][:1])
    torch.testing.assert_close(both[1:], one, atol=1e-6, rtol=0)


def test_a_combination_adds_its_shape_by_the_product_of_two_weights(head, rest):
    unit = head.expression_names.index("eyeBlinkLeft")
    row = head.combination_units.tolist().index([unit, unit])
    cage = 0.3 * head.expression_basis[unit] + 0.3**2 * head.combination_basis[row]
    expected = rest + head.subdivision @ cage
    torch.testing.assert_close(head.pose({"eyeBlinkLeft": 0.3}), expected, atol=1e-6, rtol=0)


def test_placement_moves_one_solid_rigidly_with_scale(head, rest):
    placement = torch.zeros(len(head.rigid_part_names), 9)
    part = head.rigid_part_names.index("upper_teeth")
    placement[part, :3] = torch.tensor([0.001, 0.002, -0.003])
    placement[part, 6:] = 0.1
    rest_pose = torch.zeros(1, len(head.expression_names)), torch.zeros(1, len(head.joint_names), 6)
    with torch.no_grad():
        moved = head(torch.zeros(len(head.identity_basis)), *rest_pose, placement=placement)[0]
    ids = head.vertices_of("upper_teeth")
    ratio = torch.pdist(moved[ids][::40]) / torch.pdist(rest[ids][::40])
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(np.exp(0.1))), atol=1e-3, rtol=0)
    others = head.vertices_of("skin", "lower_teeth", "tongue", "left_eye")
    assert (moved[others] - rest[others]).abs().max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["identity", "expression", "joints", "offsets", "placement"])
def test_gradients_agree_with_finite_differences(head, argument):
    """Central differences along a random direction, in double precision, around a moved pose."""
    model = load("default").double()
    generator = torch.Generator().manual_seed(3)

    def random(*shape, scale):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = {
        "identity": random(len(head.identity_basis), scale=0.5),
        "expression": random(1, len(head.expression_names), scale=0.3),
        "joints": random(1, len(head.joint_names), 6, scale=0.1),
        "offsets": random(head.cage_count, 3, scale=0.001),
        "placement": random(len(head.rigid_part_names), 9, scale=0.02),
    }
    weight = random(head.vertex_count, 3, scale=1.0)
    direction = random(*inputs[argument].shape, scale=1.0)

    def value(step):
        moved = dict(inputs, **{argument: inputs[argument] + step * direction})
        return (model(**moved)[0] * weight).sum()

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(step), step)
    with torch.no_grad():
        difference = (value(1e-5) - value(-1e-5)) / 2e-5
    assert slope.abs() > 0
    torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-6)


def test_the_sparse_product_is_the_dense_one_and_so_is_its_gradient():
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(7, 5, generator=generator, dtype=torch.float64) * (torch.rand(7, 5, generator=generator) > 0.5)
    vertices = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    dense = dense.float().double()  # as it is stored
    product = SparseMatrix(sp.csr_matrix(dense.numpy()))(vertices)
    expected = torch.einsum("mn,bnc->bmc", dense, vertices)
    torch.testing.assert_close(product, expected)
    weight = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
    for result in (torch.autograd.grad((out * weight).sum(), vertices)[0] for out in (product, expected)):
        torch.testing.assert_close(result, torch.einsum("mn,bmc->bnc", dense, weight))


def test_rotations_are_scipys_and_exact_at_zero():
    from scipy.spatial.transform import Rotation

    vectors = torch.tensor([[0.0, 0, 0], [1e-6, 0, 0], [0.004, -0.007, 0.005], [0.3, -1.2, 2.0]], dtype=torch.float64)
    expected = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    torch.testing.assert_close(axis_angle_to_matrix(vectors), expected, atol=1e-12, rtol=0)
    assert torch.autograd.gradcheck(axis_angle_to_matrix, vectors.requires_grad_())


def test_unknown_and_damaged_models_are_named(tmp_path):
    with pytest.raises(HeadfitError, match=r"no head model named 'defualt'; known: default"):
        load("defualt")
    with pytest.raises(HeadfitError, match="no such file"):
        load(tmp_path / "nothing.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(HeadfitError, match="cannot be read as an npz archive"):
        load(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", faces=np.zeros((1, 3)))
    with pytest.raises(HeadfitError, match=r"missing .*mean"):
        load(tmp_path / "other.npz")
