"""What a report reads from a run folder, on made-up files."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from headfit.report.curves import frames_section
from headfit.report.facts import RunFacts
from headfit.report.summary import labels_section, verdict_section
from headfit.report.training import read_training

VIEWS = {
    "frame": ["a", "a", "a", "c"],
    "camera": ["cam0", "cam1", "cam2", "cam0"],
    "wrong_labels": [0.1, 0.3, 0.2, None],
    "colour_error": [None] * 4,
    "head_iou": [0.9, 0.8, None, 0.7],
    "landmark_error": [None] * 4,
}


def facts(frames: str, name: str = "run", **scores) -> RunFacts:
    capture = SimpleNamespace(frames=list(frames), cameras=[])
    run = SimpleNamespace(model=SimpleNamespace(capture=capture, config=SimpleNamespace(hold_out=[])))
    floor = {"head_iou": 0.9, "landmark_error": 0.01}
    health = {"verdict": "good", "floor": floor, "views": 4, "frames": [], "cameras": []}
    kept = {
        "health": health,
        "views": VIEWS,
        "scores": scores,
        "has_old_scores": False,
        "environment": {},
        "stages": [],
    }
    return RunFacts(name, False, run, **kept)


def test_residuals_are_reduced_over_the_views_of_a_frame_and_of_a_camera():
    np.testing.assert_allclose(facts("abc").by_frame("wrong_labels", np.median, ["a", "b", "c"]), [0.2, np.nan, np.nan])
    np.testing.assert_allclose(facts("abc").by_frame("head_iou", np.min, ["a", "c"]), [0.8, 0.7])
    np.testing.assert_allclose(facts("abc").by_camera("head_iou", ["cam0", "cam2"]), [0.8, np.nan])


def test_a_residual_that_no_view_has_is_not_drawn():
    html = frames_section([facts("abc")]).html()
    assert "IoU of the head" in html and "colour error" not in html and "true surface" not in html


def test_a_second_run_is_drawn_at_the_frames_of_the_first():
    html = frames_section([facts("ab", "one"), facts("abcd", "two")]).html()
    assert "2 frames are only in two and not drawn." in html
    assert ">b\none: -\ntwo: -</title>" in html and "\ntwo: 0.7" not in html


@pytest.mark.parametrize("section", [verdict_section, labels_section, frames_section])
def test_old_scores_are_marked_wherever_they_are_shown(section):
    scores = {"iou": {"lips": 0.9}, "distances": {"all": {"median_mm": 0.3, "by_frame_mm": {"a": 0.3}}}}
    new, mark = facts("ab", "new", **scores), "the scores (metrics.json) are older than the last checkpoint"
    html = section([new, replace(new, name="old", has_old_scores=True)]).html()
    assert f"old: {mark}" in html and f"new: {mark}" not in html


def test_the_score_of_a_camera_is_found_among_held_out_and_trained_ones():
    pictures = {"held_out": {"cameras": {"cam1": {"ssim": 0.8}}}, "training": {"cameras": {"cam0": {"ssim": 0.9}}}}
    found = [facts("a", pictures=pictures).camera_score(camera, "ssim") for camera in ("cam0", "cam1", "cam2")]
    np.testing.assert_array_equal(found, [0.9, 0.8, np.nan])


def test_the_time_of_a_stage_leaves_out_the_night_between_an_interruption_and_its_continuation(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step, walltime in enumerate([100.0, 100.5, 101.0, 9000.0, 9000.5]):
            writer.add_scalar("loss/shape/mask", 1.0 / (1 + step), step, walltime)
            writer.add_scalar("loss/total", 1.0, step, walltime)
        writer.add_scalar("loss/photo/photometric", 0.25, 5, 9001.0)
        writer.add_scalar("rate/texture", 0.01, 5, 9001.0)
    shape, photo = read_training(tmp_path)
    assert (shape.name, shape.steps, shape.seconds) == ("shape", [0, 1, 2, 3, 4], pytest.approx(1.5))
    np.testing.assert_allclose(shape.losses["mask"], [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5], rtol=1e-6)
    assert (photo.name, photo.seconds, set(photo.losses)) == ("photo", 0.0, {"photometric"})


def test_a_run_without_events_has_no_stages(tmp_path):
    assert read_training(tmp_path / "tensorboard") == []
