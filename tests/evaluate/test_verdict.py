"""What is good, what is worth a look, and what has failed."""

import argparse
from dataclasses import replace

import numpy as np
import pytest

from headfit.commands import fit
from headfit.evaluate import health
from headfit.evaluate.verdict import Floor, judge_fit, measure_floor
from headfit.fitting.harm import Harm

SOUND = Floor(0.97, 1.0, 0.01)


@pytest.mark.parametrize(
    ("floor", "counts", "verdict"),
    [
        (SOUND, (0, 0, 0), "good"),
        (SOUND, (2, 1, 0), "look at 2 frames; 1 camera"),
        (
            Floor(0.97, 0.75, None),
            (0, 0, 0),
            "look at 25 % of the views, in which the head and",
        ),
        (Floor(0.6, 1.0, 0.01), (0, 0, 0), "look at the head's IoU with the masks is 0.60"),
        (Floor(0.3, 1.0, 0.01), (0, 0, 0), "failed: the head's IoU with the masks is 0.30"),
        (Floor(None, None, 0.4), (0, 0, 0), "failed: landmarks lie 40 % of the head's size from the model's"),
        (Floor(None, None, None), (0, 0, 0), "look at the pictures yourself"),
    ],
)
def test_verdicts(floor: Floor, counts: tuple[int, int, int], verdict: str) -> None:
    assert judge_fit(floor, {}, [], *counts).startswith(verdict)


def test_views_without_evidence_do_not_count() -> None:
    floor = measure_floor(np.array([np.nan, 0.9, 0.0, 0.95]), np.array([np.nan, np.nan, 0.02, 0.04]))
    assert floor == Floor(0.9, pytest.approx(2 / 3, abs=1e-4), 0.03)
    nothing = np.full(3, np.nan)
    assert measure_floor(nothing, nothing) == Floor(None, None, None)


@pytest.mark.parametrize(("verdict", "status"), [("failed: nothing overlaps", 3), ("good", None), ("look at x", None)])
def test_the_exit_status(monkeypatch, capsys, verdict: str, status: int | None) -> None:
    monkeypatch.setattr(health, "report_health", lambda run: verdict)
    assert fit._judge(argparse.Namespace(path="run")) == status
    assert ("the fit failed: nothing overlaps" in capsys.readouterr().err) == (status == 3)


def test_a_part_of_the_face_that_left_its_landmarks_is_named():
    parts = {"nose": 4.8, "eyes": 1.2}
    assert judge_fit(SOUND, parts, [], 0, 0, 0) == "look at the nose, 4.8 mm from the landmarks"
    assert judge_fit(SOUND, {"nose": 1.5}, [], 0, 0, 0) == "good"


def test_a_stage_that_harmed_the_face_is_named_unless_a_repeat_mended_it():
    harm = Harm("photo", "nose_mm", 0.8, 4.8, 4.0, repeated=True)
    assert judge_fit(SOUND, {}, [harm], 0, 0, 0) == "good"
    kept = replace(harm, repeated=False)
    assert judge_fit(SOUND, {}, [harm, kept], 0, 0, 0) == "look at the nose, which stage photo made worse"
    undone = replace(kept, undone=True)
    expected = "look at the nose, which stage photo made worse, and which was undone"
    assert judge_fit(SOUND, {}, [harm, undone], 0, 0, 0) == expected
