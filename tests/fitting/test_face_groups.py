"""The parts of a fitted face are measured against the triangulated landmarks."""

import pytest
import torch

from headfit.capture import open_capture
from headfit.capture.summary import CaptureSummary
from headfit.fitting.config import FitConfig
from headfit.fitting.face_groups import GROUPS, landmark_distances
from headfit.fitting.model import FittedHead
from headfit.synth import synthesize


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A capture, and a model whose landmarks are set to what its cameras triangulate to."""
    path = tmp_path_factory.mktemp("synth") / "capture"
    synthesize(path, cameras=5, frames=1, width=96, height=128, seed=3)
    capture = open_capture(path)
    model = FittedHead.build(FitConfig(texture_size=64), CaptureSummary.of(capture))
    truth = capture.ground_truth().vertices(capture.frames[0])
    return capture, model, torch.as_tensor(truth, dtype=torch.float32)


def test_a_face_where_its_landmarks_are_is_near(scene, monkeypatch):
    capture, model, truth = scene
    monkeypatch.setattr(model, "vertices", lambda frame: truth)
    found = landmark_distances(model, capture)
    assert set(found) == set(GROUPS) and max(found.values()) < 1.5


def test_a_nose_that_moved_is_measured(scene, monkeypatch):
    capture, model, truth = scene
    monkeypatch.setattr(model, "vertices", lambda frame: truth)
    before = landmark_distances(model, capture)
    moved = truth.clone()
    moved[model.head.vertices_of("nose")] += torch.tensor([0.0, 0.0, 0.006])
    monkeypatch.setattr(model, "vertices", lambda frame: moved)
    found = landmark_distances(model, capture)
    assert found["nose"] == pytest.approx(6, abs=1.6) and found["nose"] > before["nose"] + 3
    assert found["eyes"] == pytest.approx(before["eyes"], abs=0.1)


def test_without_landmarks_nothing_is_said(scene, monkeypatch):
    capture, model, _ = scene
    monkeypatch.setattr(model.config, "use_landmarks", False)
    assert landmark_distances(model, capture) == {}
