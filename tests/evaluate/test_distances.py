from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError
from headfit.evaluate import distances
from headfit.evaluate.distances import Region, parse_region, part_regions, surface_distances

BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
EYE = trimesh.creation.icosphere(subdivisions=2, radius=0.012)
FITTED = trimesh.util.concatenate([BALL, EYE])
SHIFT = np.array([0.0, 0.0, 0.3])


@pytest.fixture
def model():
    """A ball and a smaller one inside it, over two frames; the second frame is 0.3 m further."""
    head = SimpleNamespace(
        faces=torch.from_numpy(FITTED.faces.astype(np.int32)),
        face_labels=torch.tensor([0] * len(BALL.faces) + [1] * len(EYE.faces)),
        label_names=("skin", "left_eye"),
        neck_loop=torch.tensor([], dtype=torch.long),
    )
    return SimpleNamespace(
        head=head,
        capture=SimpleNamespace(cameras=[], frames=["0", "1"], world=WorldFrame(np.zeros(3))),
        vertices=lambda index: torch.from_numpy(FITTED.vertices + index * SHIFT).float(),
    )


@pytest.fixture(autouse=True)
def all_seen(monkeypatch):
    monkeypatch.setattr(distances, "seen_vertices", lambda truth, vertices, cameras: np.ones(len(vertices), bool))


def truth(vertices_of_frame):
    return SimpleNamespace(vertices=vertices_of_frame, faces=np.arange(12).reshape(-1, 3))


DIRECTIONS = BALL.vertices[::60] / 0.1
EVERYTHING = Region("all", np.arange(len(DIRECTIONS)))


def on_sphere(radius):
    return lambda frame: DIRECTIONS * radius + int(frame) * SHIFT


def test_distance_to_the_surface_over_all_frames(model):
    scores = surface_distances(model, truth(on_sphere(0.102)), [EVERYTHING])["all"]
    assert scores["median_mm"] == pytest.approx(2, abs=1e-3)
    assert scores["p95_mm"] == pytest.approx(2, abs=1e-3)
    assert scores["vertices"] == 2 * len(DIRECTIONS)
    assert scores["sliding_median_mm"] == pytest.approx(0, abs=1e-3)


def test_every_frame_has_its_own_median(model):
    def growing(frame):
        return on_sphere(0.101 + 0.002 * int(frame))(frame)

    scores = surface_distances(model, truth(growing), [EVERYTHING])["all"]
    assert scores["by_frame_mm"] == {"0": pytest.approx(1, abs=0.01), "1": pytest.approx(3, abs=0.01)}


def test_a_part_is_compared_with_its_counterpart_only(model):
    eye = Region("eye", EVERYTHING.vertices, frozenset({"left_eye"}))
    scores = surface_distances(model, truth(on_sphere(0.1)), [EVERYTHING, eye])
    assert scores["all"]["median_mm"] == pytest.approx(0, abs=1e-3)
    assert scores["eye"]["median_mm"] == pytest.approx(88, abs=0.2)


def test_unseen_vertices_and_frames_without_ground_truth_do_not_count(model, monkeypatch):
    seen = np.zeros(len(DIRECTIONS), bool)
    seen[:2] = True
    only_first = truth(lambda frame: on_sphere(0.1)(frame) if frame == "0" else None)
    monkeypatch.setattr(distances, "seen_vertices", lambda truth, vertices, cameras: seen)
    scores = surface_distances(model, only_first, [EVERYTHING, Region("unseen", np.arange(2, 5))])
    assert scores["all"]["vertices"] == 2
    assert "sliding_median_mm" not in scores["all"] and set(scores["all"]["by_frame_mm"]) == {"0"}
    assert "unseen" not in scores


def test_sliding_is_the_surfaces_motion_under_the_point(model):
    turn = trimesh.transformations.rotation_matrix(np.deg2rad(3), [0, 0, 1])[:3, :3]
    model.vertices = lambda index: torch.from_numpy(FITTED.vertices @ (turn.T if index else np.eye(3))).float()
    equator = np.array([[0.1, 0, 0]])
    scores = surface_distances(model, truth(lambda frame: equator), [Region("equator", np.array([0]))])["equator"]
    assert scores["sliding_median_mm"] == pytest.approx(2 * 100 * np.sin(np.deg2rad(1.5)), rel=0.02)
    assert scores["median_mm"] < 0.2


def test_vertices_below_the_cut_of_the_neck_are_left_out(model):
    model.head.neck_loop = torch.tensor([0])  # the first direction is that of vertex 0, and no other is near it
    scores = surface_distances(model, truth(on_sphere(0.102)), [EVERYTHING])["all"]
    assert scores["vertices"] == 2 * (len(DIRECTIONS) - 1)


def test_regions_by_the_names_of_the_parts():
    names = ["face", "eye_socket_left", "eyeball_left", "teeth", "gums_tongue"]
    gt = SimpleNamespace(
        part_names=names,
        faces=np.arange(30).reshape(-1, 3),
        part_vertices=lambda part: np.arange(part, part + 3),
    )
    labels = {region.name: region.labels for region in part_regions(gt)}
    assert labels == {
        "all": None,
        "face": None,
        "eye_socket_left": None,
        "eyeball_left": {"left_eye", "right_eye"},
        "teeth": {"upper_teeth", "lower_teeth", "teeth"},
        "gums_tongue": {"tongue", "gums"},
    }


def test_regions_from_the_command_line():
    region = parse_region("face=3:7", 10)
    assert region.name == "face"
    np.testing.assert_array_equal(region.vertices, [3, 4, 5, 6])
    for text in ("face", "face=", "=0:3", "face=3", "face=3:3", "face=-1:3", "face=0:11", "face=a:b"):
        with pytest.raises(HeadfitError, match=r"NAME=START:STOP.*10"):
            parse_region(text, 10)
