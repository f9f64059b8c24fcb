"""The jaw line by view: on the outline where the jaw is hidden, on the jaw where it is seen."""

import cv2
import numpy as np
import pytest
import torch

from headfit.capture import Camera
from headfit.capture.landmark_files import CONTOUR_COUNT
from headfit.head import HeadModel, load
from headfit.head.contour import SPACING, JawContour, contour_points
from headfit.render import CameraBatch, HeadRenderer
from headfit.synth.rig import looking_along

DISTANCE, SIZE, MILLIMETRES_PER_PIXEL = 1.2, 400, 0.75


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


@pytest.fixture(scope="module")
def contour(head) -> JawContour:
    return JawContour(head)


@pytest.fixture(scope="module")
def vertices(head) -> torch.Tensor:
    identity = 0.7 * torch.randn(len(head.identity_basis), generator=torch.Generator().manual_seed(2))
    return head.pose(identity=identity)[None]


def camera(yaw: float, pitch: float = 0.0) -> Camera:
    """A camera `yaw` degrees to the subject's left and `pitch` from above."""
    turn, lift = np.deg2rad([yaw, pitch])
    away = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    R = looking_along(-away)
    focal = 1000 * DISTANCE / MILLIMETRES_PER_PIXEL
    K = np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1.0]])
    return Camera("view", SIZE, SIZE, K, R, -R @ (DISTANCE * away + np.array([0, -0.04, 0])))


def test_arcs_start_at_the_landmarks_and_run_inwards_on_the_skin(head, contour, vertices):
    points = (vertices[0][contour.corners] * contour.arc_bary[..., None]).sum(2)
    static = head.landmarks(vertices)[0, :CONTOUR_COUNT]
    torch.testing.assert_close(points[:, 0], static, atol=1e-5, rtol=0)
    steps = (points[:, 1:] - points[:, :-1]).norm(dim=-1)
    assert steps.max() < 2 * SPACING, "no leaps"
    assert (steps.sum(1) > 0.02).all(), "room to wander"
    inwards = points[:, -1, :2] - points[:, 0, :2]
    middle = torch.tensor([static[8, 0], static[:2, 1].mean() - 0.06]) - points[:, 0, :2]
    assert ((inwards * middle).sum(-1) > 0).all()
    skin = torch.isin(head.face_parts[contour.arc_faces], head.face_parts[head.landmark_faces[:1]])
    assert skin.all()
    assert contour.arc_bary.min() >= 0 and torch.allclose(contour.arc_bary.sum(-1), torch.ones(()))


@pytest.mark.parametrize("yaw", [-55.0, -35.0, 35.0, 55.0])
def test_hidden_jaw_points_lie_on_the_faces_outline(head, contour, vertices, yaw):
    """The outline from the picture itself: within two pixels of background, seen from nowhere but this camera."""
    view = camera(yaw)
    faces, bary = contour(vertices, torch.from_numpy(view.centre).float()[None])
    points = contour_points(vertices, head.faces, faces, bary)[0]
    moved = (faces[0] != contour.arc_faces[:, 0]) & ~at_its_end(contour, faces)
    assert 4 <= moved.sum() <= 10, "the far half of the jaw line wanders"
    far = range(9) if yaw > 0 else range(8, CONTOUR_COUNT)
    assert set(moved.nonzero()[:, 0].tolist()) <= set(far)
    seen = HeadRenderer(head).rasterize(vertices, CameraBatch.of([view]))
    # In front of the ear, what lies behind the cheek is background, neck or shoulder: more than 1.5 cm away.
    depth = torch.where(seen.head[0], seen.depth[0], 10.0).numpy()
    pixels = view.project(points[moved].numpy().astype(np.float64))
    behind = cv2.dilate(depth, np.ones((7, 7))) - cv2.erode(depth, np.ones((7, 7)))
    column, row = np.floor(pixels).astype(int).T
    assert (behind[row, column] > 0.015).mean() > 0.8, behind[row, column]


def at_its_end(contour: JawContour, faces: torch.Tensor) -> torch.Tensor:
    return faces[0] == contour.arc_faces[:, -1]


def test_seen_jaw_points_stay(head, contour, vertices):
    for yaw, near in ((50.0, range(10, CONTOUR_COUNT)), (-50.0, range(7))):
        faces, _ = contour(vertices, torch.from_numpy(camera(yaw).centre).float()[None])
        assert torch.equal(faces[0, list(near)], contour.arc_faces[list(near), 0])


def test_from_above_the_chin_wanders_up(head, contour, vertices):
    level, above = (torch.from_numpy(camera(0, pitch).centre).float()[None] for pitch in (0, 50))
    chin = [contour_points(vertices, head.faces, *contour(vertices, centre))[0, 8] for centre in (level, above)]
    assert chin[1][1] > chin[0][1] + 0.003


def test_views_are_independent_and_points_are_differentiable(head, contour, vertices):
    centres = torch.stack([torch.from_numpy(camera(yaw).centre).float() for yaw in (-40, 10, 40)])
    batch = vertices.expand(3, -1, -1).clone().requires_grad_()
    faces, bary = contour(batch, centres)
    for view in range(3):
        one = contour(vertices, centres[view : view + 1])
        assert torch.equal(faces[view], one[0][0]) and torch.equal(bary[view], one[1][0])
    points = contour_points(batch, head.faces, faces, bary)
    (gradient,) = torch.autograd.grad(points[1, 4, 2], batch)
    used = head.faces[faces[1, 4]].long()
    torch.testing.assert_close(gradient[1, used, 2], bary[1, 4])
    assert gradient[[0, 2]].abs().max() == 0 and gradient[1].abs().sum() == pytest.approx(1.0)


def test_a_head_without_landmarks_is_refused(head):
    class Bare(type(head)):
        has_landmarks = property(lambda self: False)

    bare = load("default")
    bare.__class__ = Bare
    with pytest.raises(ValueError, match="landmarks of this head are unknown"):
        JawContour(bare)


def test_arcs_of_other_makers_heads_whose_landmarks_are_vertices(ict_head):
    contour = JawContour(ict_head)
    vertices = ict_head.rest()
    points = (vertices[contour.corners] * contour.arc_bary[..., None]).sum(2)
    static = ict_head.landmarks(vertices)[:CONTOUR_COUNT]
    torch.testing.assert_close(points[:, 0], static, atol=1e-5, rtol=0)
    steps = (points[:, 1:] - points[:, :-1]).norm(dim=-1)
    assert steps.max() < 2 * SPACING and (steps.sum(1) > 0.02).all()
    assert (points[:6, -1, 0] > points[:6, 0, 0] + 0.01).all() and (points[11:, -1, 0] < points[11:, 0, 0] - 0.01).all()
