"""Scores that are older than the last checkpoint are not reported as the run's."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from headfit import cli


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what the command calls for a run of 6 views whose health and scores are there."""
    (tmp_path / "checkpoints").mkdir()
    for name in ("checkpoints/last.ckpt", "health.json", "views.json", "metrics.json"):
        (tmp_path / name).write_text("{}")
    called: list[str] = []
    capture = SimpleNamespace(frames=["a", "b"], cameras=["0", "1", "2"])
    run = SimpleNamespace(path=tmp_path, model=SimpleNamespace(capture=capture), unfinished="")
    monkeypatch.setattr("headfit.fitting.run_folder.load_run", lambda path: run)
    monkeypatch.setattr("headfit.commands.report.capture_of", lambda run, given: None)
    monkeypatch.setattr("headfit.evaluate.health.report_health", lambda *_: called.append("health"))
    monkeypatch.setattr("headfit.evaluate.evaluate", lambda *_: called.append("scores"))
    monkeypatch.setattr("headfit.report.write_report", lambda *_: called.append("report"))
    return called


def report(run: Path, older: str = "") -> None:
    """Run the command where the file `older` was written before the checkpoint, and the others after it."""
    for name in ("health.json", "views.json", "metrics.json"):
        time = 10 if name == older else 30
        os.utime(run / name, ns=(time, time))
    os.utime(run / "checkpoints/last.ckpt", ns=(20, 20))
    assert cli.main(["report", str(run), "--out", str(run / "report.html")]) == 0


def test_what_is_newer_than_the_checkpoint_is_taken(tmp_path: Path, calls: list[str]) -> None:
    report(tmp_path)
    assert calls == ["report"]


def test_older_scores_are_computed_again(tmp_path: Path, calls: list[str]) -> None:
    report(tmp_path, "metrics.json")
    assert calls == ["scores", "report"]


def test_an_older_health_is_examined_again(tmp_path: Path, calls: list[str]) -> None:
    report(tmp_path, "views.json")
    assert calls == ["health", "report"]


def test_older_scores_of_a_large_run_are_said_to_be_old(tmp_path: Path, calls: list[str], capsys, monkeypatch) -> None:
    monkeypatch.setattr("headfit.commands.report.MAX_SCORED_VIEWS", 5)
    report(tmp_path, "metrics.json")
    assert calls == ["report"] and "metrics.json: older than the last checkpoint" in capsys.readouterr().out
