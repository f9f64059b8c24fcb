"""The dense landmark term: what each point weighs in a view, its value and gradient, and where it is computed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headfit.capture import Camera, open_capture
from headfit.capture.landmark_files import write_dense_landmarks
from headfit.capture.landmark_schemes import SPARSE
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.fitting.config import RunArgs, Stage
from headfit.fitting.face_groups import judged_landmarks
from headfit.fitting.model import FittedHead
from headfit.fitting.run import fit
from headfit.fitting.settings import load_config
from headfit.fitting.terms import TERMS, dense_landmark
from headfit.fitting.terms.dense_landmark import (
    FACING,
    HALF_YAW,
    HIDDEN_BEHIND,
    OBLIQUE,
    dense_landmark_loss,
    dense_landmark_weights,
    facing_share,
    unhidden,
    yaw_share,
)
from headfit.fitting.terms.landmark import MOUTH_SHARE, SCALE, landmark_weights
from headfit.head import load
from headfit.npz import read_npz
from headfit.render import CameraBatch

SIZE, AREA = 200, 1e4
SHARP = Stage(blur=0.0)


def camera_at(yaw: float, target: np.ndarray) -> Camera:
    """A camera half a metre from `target`, `yaw` degrees to the subject's left."""
    turn = np.deg2rad(yaw)
    away = np.array([np.sin(turn), 0, np.cos(turn)])
    right = np.cross(-away, [0.0, 1, 0])
    R = np.stack([right, np.cross(-away, right), -away])
    K = np.array([[250.0, 0, SIZE / 2], [0, 250, SIZE / 2], [0, 0, 1]])
    return Camera(f"{yaw:g}", SIZE, SIZE, K, R, -R @ (target + 0.5 * away))


YAWS = (0.0, 35.0, 180.0)


@pytest.fixture(scope="module")
def model(settings: Path) -> FittedHead:
    """The head at rest before cameras in front, at its left and behind it."""
    head = load("default")
    nose = head.rest()[head.vertices_of("nose")].mean(0).double().numpy()
    cameras = [camera_at(yaw, nose) for yaw in YAWS]
    summary = CaptureSummary("", ["0"], 25.0, cameras, {}, WorldFrame.identity(), dense_landmarks=True)
    return FittedHead.build(load_config(settings, ["head=default"]), summary)


@pytest.fixture
def seen(model: FittedHead) -> SimpleNamespace:
    """What the term asks of an observation of the three cameras. The detector is certain of all points."""
    cameras, views = CameraBatch.of(model.capture.cameras), len(YAWS)
    v_views = model.vertices(0).expand(views, -1, -1)
    count = len(model.head.dense_landmark_numbers)
    batch = SimpleNamespace(
        frame=torch.zeros(views, dtype=torch.int64),
        camera=torch.arange(views),
        dense_landmarks=torch.zeros(views, count, 2),
        dense_landmark_weight=torch.ones(views, count),
    )
    return SimpleNamespace(
        batch=batch,
        cameras=cameras,
        v_views=v_views,
        fragments=model.renderer.rasterize(v_views, cameras),
        shown_classes=torch.zeros(views, len(model.classes.names), dtype=torch.bool),
        head_area=torch.full((views,), AREA),
    )


def test_a_point_counts_by_the_angle_at_which_it_is_seen() -> None:
    normals = torch.tensor([[0.0, 0.0, 1.0]])
    for cosine, share in ((1.0, 1.0), (FACING, 1.0), ((FACING + OBLIQUE) / 2, 0.5), (OBLIQUE, 0.0), (-0.5, 0.0)):
        towards = 3 * torch.tensor([[(1 - cosine**2) ** 0.5, 0.0, cosine]])
        assert facing_share(normals, towards).item() == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_view_counts_by_the_heads_yaw_not_by_its_pitch(side: int) -> None:
    yaws = torch.tensor([0.0, HALF_YAW, torch.pi])
    directions = torch.stack([side * yaws.sin(), torch.full((3,), 0.6), yaws.cos()], dim=1)
    torch.testing.assert_close(yaw_share(directions), 1 / (1 + torch.tensor([0.0, 1.0, torch.pi / HALF_YAW]) ** 4))


def test_the_yaw_is_the_heads_own(model: FittedHead) -> None:
    turn = model.geometry.start_rotation.clone()
    try:
        angle = torch.tensor(0.4)
        c, s = angle.cos(), angle.sin()
        model.geometry.start_rotation[0] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])  # to its left
        direction = model.geometry.directions(torch.tensor([0]), torch.tensor([[0.0, 0.0, 2.0]]))
        torch.testing.assert_close(direction, torch.stack([-2 * s, torch.tensor(0.0), 2 * c])[None])
    finally:
        model.geometry.start_rotation.copy_(turn)


def test_what_the_surface_hides_is_hidden() -> None:
    K = np.array([[10.0, 0, 2], [0, 10, 2], [0, 0, 1]])
    cameras = CameraBatch.of([Camera("a", 4, 4, K, np.eye(3), np.zeros(3))])
    depth = torch.full((1, 4, 4), 1.0)
    depth[0, 3, 0] = 0.0
    o = SimpleNamespace(cameras=cameras, fragments=SimpleNamespace(depth=depth))
    behind = 1 + 2 * HIDDEN_BEHIND
    points = torch.tensor([
        [0.01, 0.01, 1.0],  # on the surface
        [0.01, 0.01, behind],
        [0.01, 0.01, 0.5],
        [-0.15 * behind, 0.15 * behind, behind],  # in the pixel of background
        [0.3 * behind, 0.0, behind],  # outside of the picture
    ])  # fmt: skip
    assert unhidden(o, points[None]).tolist() == [[True, False, True, True, True]]


def test_a_weight_is_the_product_of_its_shares(model: FittedHead, seen: SimpleNamespace) -> None:
    """By hand for the middle of the forehead, which every camera in front sees."""
    point = model.head.dense_landmark_numbers.tolist().index(151)
    seen.batch.dense_landmark_weight[:, point] = 0.8
    corners = model.head.faces[model.head.dense_landmark_faces[point]].long()
    at = model.head.dense_landmark_bary[point].double().numpy() @ model.vertices(0)[corners].double().numpy()
    a, b, c = model.vertices(0)[model.dense.corners[point]].double().numpy()
    normal = np.cross(b - a, c - a) / np.linalg.norm(np.cross(b - a, c - a))
    certainty = 1 / (1 + (model.head.dense_landmark_spread[point].item() / 0.003) ** 2)
    found = dense_landmark_weights(seen, model, SHARP)[:, point]
    for view, camera in enumerate(model.capture.cameras):
        towards = camera.centre - at
        share = np.clip((normal @ towards / np.linalg.norm(towards) - OBLIQUE) / (FACING - OBLIQUE), 0, 1)
        yaw = np.arctan2(camera.centre[0], camera.centre[2])
        expected = 0.8 * certainty * share**2 * (3 - 2 * share) / (1 + (yaw / HALF_YAW) ** 4)
        assert found[view].item() == pytest.approx(expected, rel=1e-4)
    assert found[0] > found[1] > 0 == found[2]


def test_a_landmark_faces_where_its_neighbourhood_does(model: FittedHead) -> None:
    """So those on the lips' inner line face forward, though the closed lips face each other there."""
    numbers = model.head.dense_landmark_numbers.tolist()
    inner = [numbers.index(i) for i in (13, 14, 82, 87, 312, 317)]
    rest = model.head.rest()
    a, b, c = rest[model.head.faces[model.head.dense_landmark_faces[inner]].long()].unbind(1)
    own = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    assert own[:, 2].min() < OBLIQUE, "the faces that they are on"
    assert model.dense.normals(rest)[inner, 2].min() > FACING


def test_nothing_is_seen_from_behind_and_the_nose_hides_what_is_beside_it(model, seen) -> None:
    weights = dense_landmark_weights(seen, model, SHARP)
    assert (weights[0] > 0).float().mean() > 0.9 and (weights[2] == 0).all()
    rest = model.head.dense_landmarks(model.head.rest())
    right = rest[:, 0] < -0.045  # the subject's right cheek, seen from the left
    assert weights[1, right].mean() < weights[0, right].mean() / 5
    bare = replace_depth(seen, 10.0)
    assert (dense_landmark_weights(bare, model, SHARP) >= weights).all()
    assert (dense_landmark_weights(replace_depth(seen, 0.1), model, SHARP) == 0).all(), "behind a nearer surface"


def replace_depth(seen: SimpleNamespace, depth: float) -> SimpleNamespace:
    """The observation with a surface at one depth (metres) everywhere."""
    flat = SimpleNamespace(depth=torch.full_like(seen.fragments.depth, depth))
    return SimpleNamespace(**{**vars(seen), "fragments": flat})


def test_the_mouth_yields_to_masked_lips_once_masks_are_sharp(model, seen) -> None:
    free = dense_landmark_weights(seen, model, SHARP)
    lips = model.is_lip.nonzero()[0, 0] if model.is_lip.any() else None
    assert lips is None, "a capture without masks has no class of lips"
    masked = SimpleNamespace(**{**vars(model), "dense": model.dense, "head": model.head, "geometry": model.geometry})
    masked.landmark_trust, masked.is_lip = model.landmark_trust, torch.tensor([False, True])
    seen.shown_classes = torch.tensor([[True, True], [True, False], [True, True]])
    found = dense_landmark_weights(seen, masked, SHARP)
    mouth = model.dense.around_mouth
    assert 40 < mouth.sum() < 150
    torch.testing.assert_close(found[0, mouth], MOUTH_SHARE * free[0, mouth])
    assert torch.equal(found[0, ~mouth], free[0, ~mouth]) and torch.equal(found[1], free[1])
    assert torch.equal(dense_landmark_weights(seen, masked, Stage(blur=2.0)), free)


def test_a_view_whose_68_landmarks_the_others_contradict_counts_less(model, seen) -> None:
    free = dense_landmark_weights(seen, model, SHARP)
    try:
        model.landmark_trust[0, 0, 17:] = torch.arange(51) < 17  # a third
        model.landmark_trust[0, 1, :17] = False  # the jaw line, on which views need not agree
        found = dense_landmark_weights(seen, model, SHARP)
    finally:
        model.landmark_trust.fill_(True)
    torch.testing.assert_close(found[0], free[0] / 3)
    assert torch.equal(found[1], free[1])


def test_the_68_that_are_made_of_a_views_dense_ones_do_not_count_twice(model, seen) -> None:
    seen.batch.landmark_weight = torch.full((3, 68), 0.5)
    seen.batch.dense_landmark_weight[1] = 0
    both, alone = Stage(weights={"landmark": 1.0, "dense_landmark": 1.0}), Stage(weights={"landmark": 1.0})
    assert (landmark_weights(seen, model, alone)[:, 17:] == 0.5).all()
    assert (landmark_weights(seen, model, both)[[0, 2]] == 0).all()
    assert (landmark_weights(seen, model, both)[1, 17:] == 0.5).all(), "a view without dense ones"


def test_a_fit_is_judged_by_where_the_detectors_points_are_on_the_head(model) -> None:
    vertices = model.vertices(0)[None]
    points, numbers = model.head.dense_landmarks(vertices)[0].numpy(), model.dense_numbers
    judged = judged_landmarks(model, vertices)[0]
    for landmark, sources in enumerate(SPARSE):
        there = [numbers.index(n) for n in sources if n in numbers]
        expected = points[there].mean(0) if len(there) == len(sources) else np.full(3, np.nan)
        np.testing.assert_allclose(judged[landmark], expected, atol=1e-6)
    assert np.isfinite(judged[36:]).all() and np.isnan(judged[29]).all(), "the ridge of the nose is too uncertain"
    other = FittedHead.build(model.config, replace(model.capture, dense_landmarks=False))
    np.testing.assert_array_equal(judged_landmarks(other, vertices), model.head.landmarks(vertices))


def test_its_value_is_the_robust_distance_relative_to_the_head(model, seen) -> None:
    seen.batch.dense_landmarks = seen.cameras.project(model.head.dense_landmarks(seen.v_views))[..., :2]
    assert dense_landmark_loss(seen, model, SHARP) == 0
    seen.batch.dense_landmarks = seen.batch.dense_landmarks + torch.tensor([3.0, 4.0])
    expected = SCALE * ((25 / AREA + SCALE**2) ** 0.5 - SCALE)
    assert dense_landmark_loss(seen, model, SHARP).item() == pytest.approx(expected, rel=1e-4)
    unseen = dense_landmark_weights(seen, model, SHARP)[0] == 0
    assert unseen.any()
    seen.batch.dense_landmarks[0, unseen] += 1000
    assert dense_landmark_loss(seen, model, SHARP).item() == pytest.approx(expected, rel=1e-4)


def test_its_gradient_agrees_with_finite_differences(model, seen, monkeypatch) -> None:
    """The weights are no part of it: a point is not to turn away from the camera for a smaller loss."""
    weights = dense_landmark_weights(seen, model, SHARP).double()
    assert not weights.requires_grad
    monkeypatch.setattr(dense_landmark, "dense_landmark_weights", lambda *_: weights)
    seen.cameras = CameraBatch.of(model.capture.cameras, dtype=torch.float64)
    rest = model.vertices(0).double()
    at = seen.cameras.project(model.head.dense_landmarks(rest)[None].expand(len(YAWS), -1, -1))[..., :2]
    seen.batch.dense_landmarks = at + 3 * torch.randn(at.shape, generator=torch.Generator().manual_seed(0)).double()

    def loss(move: torch.Tensor) -> torch.Tensor:
        seen.v_views = (rest * (1 + move[3]) + move[:3]).expand(len(YAWS), -1, -1)
        return 1e4 * dense_landmark_loss(seen, model, SHARP)

    assert torch.autograd.gradcheck(loss, torch.full((4,), 0.001, dtype=torch.float64, requires_grad=True))


def test_it_is_left_out_where_capture_settings_or_head_have_none(model, settings) -> None:
    stage, term = Stage(weights={"dense_landmark": 1.0}), TERMS["dense_landmark"]
    assert term.applies(model, stage) and len(model.dense_numbers) > 400
    without = replace(model.capture, dense_landmarks=False)
    for config, capture in (
        (model.config, without),
        (replace(model.config, use_landmarks=False), model.capture),
        (load_config(settings), model.capture),  # a head that has none
    ):
        other = FittedHead.build(config, capture)
        assert not term.applies(other, stage) and other.dense_numbers == []


@pytest.fixture(scope="module")
def dense_capture(capture_path: Path, small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny capture with dense landmarks, of which the 68 are a part, and its head with them."""
    folder = tmp_path_factory.mktemp("dense")
    arrays = dict(read_npz(small_head))
    numbers = np.array([sources[0] for sources in SPARSE[17:]])
    np.savez(
        folder / "head.npz",
        **arrays,
        dense_landmark_numbers=numbers,
        dense_landmark_faces=arrays["landmark_faces"][17:],
        dense_landmark_bary=arrays["landmark_bary"][17:],
        dense_landmark_spread=np.full(51, 0.001),
    )
    root = folder / "capture"
    shutil.copytree(capture_path, root)
    head, capture = load(folder / "head.npz"), open_capture(root)
    for frame, name in enumerate(capture.frames):
        vertices = torch.from_numpy(np.load(root / f"gt/{name}.npz")["vertices"])
        points = head.dense_landmarks(vertices).double().numpy()
        for camera in capture.cameras:
            rows = np.zeros((478, 4))
            rows[:, :2] = camera.project(points.mean(0)[None])
            for sources, pixel in zip(SPARSE[17:], camera.project(points), strict=True):
                rows[list(sources), :2] = pixel
            write_dense_landmarks(root / f"dense/{camera.id}/{capture.frames[frame]}.json", rows)
    content = json.loads((root / "capture.json").read_text())
    content["landmarks"] = {"path": "dense/{camera}/{frame}.json", "scheme": "mediapipe478"}
    (root / "capture.json").write_text(json.dumps(content))
    return root, folder / "head.npz"


@pytest.mark.slow
def test_a_fit_moves_the_head_to_them(dense_capture, config, tmp_path) -> None:
    root, head = dense_capture
    stage = replace(config.stages["rigid"], steps=20, weights={"dense_landmark": 1000.0})
    config = replace(config, head=str(head), stages={"rigid": stage})
    fit(config, RunArgs(capture=str(root), out=str(tmp_path / "run")))
    log = EventAccumulator(str(tmp_path / "run/tensorboard"))
    log.Reload()
    values = [event.value for event in log.Scalars("loss/rigid/dense_landmark")]
    assert 0 < np.mean(values[-5:]) < 0.8 * np.mean(values[:5]), "each step draws other views"
