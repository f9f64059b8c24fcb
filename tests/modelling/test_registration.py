"""Registration: a head finds itself, offsets take up what parameters cannot, and a foreign head is reached."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from headfit.errors import HeadfitError
from headfit.evaluate.surface import SurfaceDistance
from headfit.head import HeadModel, load
from headfit.modelling.registration import Registration, Target, fit_offsets, fit_parameters, start
from headfit.modelling.registration.gauss_newton import _Layout
from headfit.modelling.registration.matching import Surface, labelled_faces, match

pytestmark = pytest.mark.slow

GROUPS = ("scale", "identity", "placement", "pose", "expression", "joints")


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


@pytest.fixture(scope="module")
def empty(head) -> Registration:
    return start(head, [as_target(head, rest(head))])


def rest(head: HeadModel) -> np.ndarray:
    return head.rest().double().numpy()


def as_target(head: HeadModel, vertices: np.ndarray) -> Target:
    faces, labels = labelled_faces(head)
    corner = head.landmark_bary.argmax(1).numpy()
    landmarks = faces[head.landmark_faces.numpy(), corner]
    return Target(vertices, faces, labels, landmarks)


def skin_distance(registration: Registration, target: Target, frame: int = 0) -> np.ndarray:
    """Millimetres from the target's face to the registered surface."""
    faces = registration.head.faces.long().numpy()
    ids = np.unique(target.faces[np.isin(target.labels, ("skin", "nose", "upper_lip", "lower_lip", "brows"))])
    return 1e3 * SurfaceDistance(registration.vertices(frame), faces).closest(target.vertices[ids]).distance


def test_the_start_finds_the_similarity(head):
    turn = Rotation.from_rotvec([0.2, -0.4, 0.1])
    moved = 1.07 * rest(head) @ turn.as_matrix().T + [0.1, 0.2, -0.3]
    begun = start(head, [as_target(head, moved)] * 2)
    for frame in range(2):
        assert np.abs(begun.vertices(frame) - moved).max() < 0.004, "landmarks were rounded to vertices"
    assert begun.scale == pytest.approx(np.log(1.07), abs=0.02)


def test_a_posed_stranger_of_its_own_space_is_found(head, empty):
    draw = torch.Generator().manual_seed(4)
    identity = torch.randn(len(head.identity_basis), generator=draw)
    pose = torch.tensor([[0.1, 0.3, -0.05, 0.02, -0.03, 0.01]], dtype=torch.float64)
    target = as_target(head, replace(empty, identity=identity, scale=0.05, pose=pose).vertices(0))
    begun = start(head, [target])
    found = fit_parameters(begun, [target], ("scale", "pose", "identity"), rounds=5, points=2000)
    before, after = skin_distance(begun, target), skin_distance(found, target)
    assert np.median(before) > 0.7, "no test otherwise"
    assert np.median(after) < 0.15 and np.percentile(after, 95) < 0.6, np.percentile(after, [50, 95])


def test_an_expression_is_found_and_units_stay_within_their_range(head, empty):
    expression = torch.zeros(1, len(head.expression_names))
    for name, value in (("jawOpen", 0.4), ("mouthSmileLeft", 0.7)):
        expression[0, head.expression_names.index(name)] = value
    target = as_target(head, replace(empty, expression=expression).vertices(0))
    found = fit_parameters(empty, [target], ("pose", "expression"), rounds=4, points=2000)
    assert np.median(skin_distance(found, target)) < 0.15 < np.median(skin_distance(empty, target)) + 0.1
    assert found.expression.min() >= 0 and found.expression.max() <= 1
    assert found.expression[0, head.expression_names.index("mouthSmileLeft")] == pytest.approx(0.7, abs=0.15)


def test_every_column_of_the_jacobian_is_how_vertices_move(head, empty):
    """Moving a parameter by a small step moves the vertices as its column says."""
    draw = torch.Generator().manual_seed(1)
    at = replace(
        empty,
        identity=torch.randn(len(head.identity_basis), generator=draw),
        scale=0.1,
        pose=torch.tensor([[0.2, -0.3, 0.1, 0.05, 0.1, -0.2]], dtype=torch.float64),
        joints=0.05 * torch.randn(1, len(head.joint_names), 6, generator=draw),
    )
    layout = _Layout(at, GROUPS)
    base = at.vertices(0)
    moves = layout.jacobian(at, 0, base)
    assert moves.shape == (layout.size, head.vertex_count, 3)
    sizes = [size for _, size in [*layout.shared, *layout.own]]
    # One entry of each group, not the first.
    for entry in np.cumsum([0, *sizes[:-1]]) + np.array(sizes) // 2:
        step = np.zeros(layout.size)
        step[entry] = 1e-2
        moved = layout.moved(at, step).vertices(0)
        expected = 1e-2 * moves[entry]
        assert np.abs(expected).max() > 1e-6
        assert np.abs(moved - base - expected).max() < 0.03 * np.abs(expected).max() + 3e-7, entry


def test_offsets_take_up_a_bump_and_leave_the_rest(head, empty):
    vertices = rest(head)
    cheek = vertices[head.faces[head.landmark_faces[2]].long()].mean(0) + np.array([0.02, 0, 0.03])
    inner = np.unique(head.faces[torch.isin(head.face_parts, part_ids(head, "skin"))].numpy())
    bump = np.zeros(len(vertices))
    bump[inner] = np.exp(-0.5 * (np.linalg.norm(vertices[inner] - cheek, axis=1) / 0.012) ** 2)
    outward = np.array([-0.8, 0, 0.6])
    target = as_target(head, vertices + 0.003 * bump[:, None] * outward)
    found = fit_offsets(empty, [target], rounds=3)
    on_bump = bump > 0.2
    surface = SurfaceDistance(found.vertices(0), head.faces.long().numpy())
    assert 1e3 * np.percentile(surface.closest(target.vertices[on_bump]).distance, 95) < 0.1
    moved = np.linalg.norm(found.vertices(0) - vertices, axis=1)
    assert moved[on_bump].max() > 0.0015
    assert moved[np.linalg.norm(vertices - cheek, axis=1) > 0.08].max() < 5e-4
    assert found.offsets[head.cage_rigid_part >= 0].abs().max() == 0, "rigid parts stay"


def part_ids(head: HeadModel, *names: str) -> torch.Tensor:
    return torch.tensor([head.part_names.index(name) for name in names])


def test_only_like_is_matched_with_like(head, empty):
    """Faces without a label, and surfaces of another kind or turned the other way, attract nothing."""
    target = as_target(head, rest(head) + np.array([0, 0, 0.001]))
    ours = Surface.of(*labelled_faces(head))
    teeth = np.unique(ours.faces["upper_teeth"])
    for labels in (
        np.where(target.labels == "upper_teeth", "", target.labels),
        np.where(target.labels == "upper_teeth", "tongue", target.labels),
    ):
        without = replace(target, labels=labels)
        found = match(empty.vertices(0), ours, without, Surface.of(without.faces, labels), 0.015, 0.004, 200)
        assert not np.isin(found.corners[found.weight > 0], teeth).any()
    inside_out = replace(target, faces=target.faces[:, ::-1])
    found = match(empty.vertices(0), ours, inside_out, Surface.of(inside_out.faces, target.labels), 0.015, 0.004, 200)
    right_way = match(empty.vertices(0), ours, target, Surface.of(target.faces, target.labels), 0.015, 0.004, 200)
    assert (found.weight > 0).sum() < 0.3 * (right_way.weight > 0).sum()
    skin = right_way.weight > 0
    np.testing.assert_allclose(np.median((right_way.goal - base_points(right_way, empty))[skin], 0), 0, atol=1e-3)


def base_points(matches, registration: Registration) -> np.ndarray:
    return np.einsum("kc,kcd->kd", matches.bary, registration.vertices(0)[matches.corners])


def test_what_cannot_be_registered_is_named(head, empty):
    with pytest.raises(ValueError, match="no such group: hair"):
        fit_parameters(empty, [], ("scale", "hair"))

    class Bare(type(head)):
        has_landmarks = property(lambda self: False)

    bare = load("default")
    bare.__class__ = Bare
    with pytest.raises(HeadfitError, match="without landmarks cannot be registered"):
        start(bare, [])


def test_a_foreign_head_is_reached(head, real_capture):
    """The beginning of `make bench-registration`, with fewer points and rounds."""
    path = Path(__file__).parents[1] / "benchmarks" / "bench_registration.py"
    spec = importlib.util.spec_from_file_location("bench_registration", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    targets = bench.read_targets(real_capture)[:1]
    found = fit_parameters(start(head, targets), targets, ("scale", "pose"), rounds=3, points=2500)
    found = fit_parameters(found, targets, ("scale", "pose", "identity"), rounds=7, points=2500)
    bent = fit_offsets(found, targets, rounds=3)
    faces = head.faces.long().numpy()
    narrow = targets[0].vertices[: bench.NARROW_FACE]
    by_identity, with_offsets = (
        1e3 * np.median(SurfaceDistance(each.vertices(0), faces).closest(narrow).distance) for each in (found, bent)
    )
    assert by_identity < 0.6 and with_offsets < 0.1
