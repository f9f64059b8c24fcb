"""What counts as harm, and what the figures of the face see."""

from dataclasses import replace

import pytest
import torch

from headfit.capture import open_capture
from headfit.capture.data import CaptureData
from headfit.capture.summary import CaptureSummary
from headfit.fitting.config import FitConfig, Stage
from headfit.fitting.face_evidence import FaceEvidence
from headfit.fitting.harm import Harm, worst_change
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.model import FittedHead
from headfit.fitting.schedule import Plan
from headfit.synth import synthesize


@pytest.mark.parametrize(
    ("before", "after", "harmful"),
    [
        ({"nose_mm": 1.0}, {"nose_mm": 4.8}, True),
        ({"nose_mm": 0.2}, {"nose_mm": 3.1}, False),  # as far as detectors err
        ({"nose_mm": 7.0}, {"nose_mm": 10.4}, False),  # less than half as much again
        ({"nose_mm": 4.8}, {"nose_mm": 1.0}, False),
        ({"eyes_iou": 0.9}, {"eyes_iou": 0.75}, True),
        ({"eyes_iou": 0.9}, {"eyes_iou": 0.85}, False),
        ({"eyes_iou": 0.38}, {"eyes_iou": 0.18}, False),  # they were not found yet
        ({"eyes_iou": 0.9}, {}, False),
        ({"nose_mm": 0.0}, {"nose_mm": 4.0}, True),
    ],
)
def test_harm_is_well_above_noise(before, after, harmful) -> None:
    assert (worst_change(before, after)[1] > 1) is harmful


def test_the_worst_figure_is_named() -> None:
    figure, extent = worst_change({"nose_mm": 1.0, "eyes_iou": 0.9}, {"nose_mm": 3.0, "eyes_iou": 0.5})
    assert figure == "eyes_iou" and extent == pytest.approx(4)
    harm = Harm("photo", "nose_mm", 0.84, 4.8, 3.96, True)
    assert "photo made the nose worse, from 0.84 to 4.80 mm from the landmarks: done again" in str(harm)
    assert "best try is kept" in str(replace(harm, repeated=False))
    assert "the stage is undone" in str(replace(harm, repeated=False, undone=True))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> FaceEvidence:
    """Of a model in the initial pose."""
    path = tmp_path_factory.mktemp("synth") / "capture"
    synthesize(path, cameras=5, frames=1, width=144, height=192, seed=3)
    capture = open_capture(path)
    model = FittedHead.build(FitConfig(texture_size=64, hold_out=["cam02"]), CaptureSummary.of(capture))
    initialise_pose(model, capture)
    plan = Plan({"a": Stage(frames="key", rates={"offsets": 0.1})}, 50, 1, 24)
    return FaceEvidence(model, CaptureData(capture, model.classes, hold_out=["cam02"]), plan)


def test_a_moved_head_is_seen_from_the_training_cameras_alone(evidence) -> None:
    assert evidence.pairs == [(0, 0), (0, 3), (0, 4)]
    before = evidence.measure()
    assert set(before) == {"head_iou", "lips_iou", "nose_mm", "eyes_mm"}, "eyes are too small in these masks"
    assert before["head_iou"] > 0.9 and before["nose_mm"] < 2
    parameters = evidence.model.geometry
    parameters.translation.data[:, 2] += 0.03
    after = evidence.measure()
    parameters.translation.data[:, 2] -= 0.03
    assert worst_change(before, after)[1] > 1 and after["nose_mm"] > before["nose_mm"] + 5
    assert torch.tensor(list(evidence.measure().values())).equal(torch.tensor(list(before.values())))
