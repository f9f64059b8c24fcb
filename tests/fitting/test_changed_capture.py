"""A capture that moved, is gone, or has other frames and cameras than the fit that is read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headfit import cli
from headfit.errors import HeadfitError
from headfit.fitting.config import RunArgs
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run
from headfit.fitting.settings import load_config


def edit(capture: Path, change) -> None:
    manifest = json.loads((capture / "capture.json").read_text())
    change(manifest)
    (capture / "capture.json").write_text(json.dumps(manifest))


@pytest.fixture
def moved(finished, capture_path, tmp_path) -> tuple[Path, Path]:
    """A run whose capture is not where it was, and the capture's new place."""
    run, capture = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(finished, run)
    shutil.copytree(capture_path, capture)
    text = (run / "run.yaml").read_text().replace(str(capture_path), str(tmp_path / "gone"))
    (run / "run.yaml").write_text(text)
    return run, capture


def test_export_and_render_need_no_capture(moved, tmp_path):
    run, _ = moved
    assert cli.main(["export", str(run), "--out", str(tmp_path / "meshes")]) == 0
    assert cli.main(["render", str(run), "--out", str(tmp_path / "pictures"), "--cameras", "cam01"]) == 0
    assert sorted(path.name for path in (tmp_path / "meshes").iterdir()) == ["000000.npz", "000001.npz", "topology.npz"]
    assert len(list((tmp_path / "pictures/cam01").iterdir())) == 2


def test_evaluate_is_told_where_the_capture_is(moved, capsys):
    run, capture = moved
    assert cli.main(["evaluate", str(run)]) == 2
    assert "is not there any more; name it by --capture" in capsys.readouterr().err
    assert cli.main(["evaluate", str(run), "--capture", str(capture)]) == 0
    assert json.loads((run / "metrics.json").read_text())["changes"] == []


def test_frames_and_cameras_are_matched_by_name(moved, tmp_path, capsys):
    """Frame 0 and camera 0 are gone and the others come first: an index would compare the wrong pictures."""
    run, capture = moved
    assert cli.main(["evaluate", str(run), "--capture", str(capture)]) == 0
    before = json.loads((run / "metrics.json").read_text())
    edit(capture, lambda m: m["cameras"].pop(0) and m["frames"].pop(0))
    shutil.rmtree(capture / "gt")
    capsys.readouterr()
    assert cli.main(["evaluate", str(run), "--capture", str(capture)]) == 0
    printed = capsys.readouterr().out
    for change in ("frames 000000 are missing", "cameras cam00 are missing"):
        assert f"the capture differs from the fitted one: {change}" in printed
    after = json.loads((run / "metrics.json").read_text())
    assert after["pictures"]["held_out"]["views"] == after["pictures"]["training"]["views"] == 1
    assert after["pictures"]["training"]["psnr_db"] > before["pictures"]["training"]["psnr_db"] - 3
    assert cli.main(["export", str(run), "--out", str(tmp_path / "m"), "--capture", str(capture)]) == 0
    assert "frames 000000 are missing" in capsys.readouterr().out
    assert (tmp_path / "m/000000.npz").exists(), "it was fitted, whatever became of its pictures"
    assert cli.main(["render", str(run), "--out", str(tmp_path / "p"), "--capture", str(capture)]) == 0
    assert sorted(str(path.relative_to(tmp_path / "p")) for path in (tmp_path / "p").rglob("*.png")) == [
        "cam01/000001.png", "cam02/000001.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["frames"].pop(0), "frames 000000 are missing"),
        (lambda m: m["frames"].append("000007"), "frames 000007 are new"),
        (lambda m: m["frames"].reverse(), "the frames are in another order"),
        (lambda m: m["cameras"].pop(0), "cameras cam00 are missing"),
        (lambda m: m["cameras"].reverse(), "the cameras are in another order"),
        (lambda m: m["cameras"][1]["K"][0].__setitem__(0, 500.0), "cameras cam01 have another calibration"),
        (lambda m: m["cameras"][2]["dist"].__setitem__(0, 0.1), "cameras cam02 have another calibration"),
    ],
)
def test_a_run_is_not_resumed_on_another_capture(moved, change, told):
    run, capture = moved
    edit(capture, change)
    args = RunArgs(capture=str(capture), out=str(run), resume=True)
    with pytest.raises(HeadfitError, match=f"has changed since the run began: .*{told}"):
        fit(load_config(run / "config.yaml"), args)


def test_a_run_is_resumed_on_a_capture_that_moved(moved):
    run, capture = moved
    content = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    torch.save(content | {"skipped": {"damaged image": ["cam00, frame 000001"]}}, run / "checkpoints/last.ckpt")
    config = load_config(run / "config.yaml")
    assert fit(config, RunArgs(capture=str(capture), out=str(run), resume=True)).path == run
    assert load_run(run).skipped == {"damaged image": ["cam00, frame 000001"]}, "what earlier steps went without"


def test_a_run_is_resumed_without_the_run_of_its_person(finished, capture_path, settings, tmp_path):
    person, run = tmp_path / "person", tmp_path / "run"
    shutil.copytree(finished, person)
    config = replace(load_config(settings), init_from=str(person))
    for stage in config.stages.values():
        stage.steps, stage.rates = 1, {"translation": 1e-9}
    fit(config, RunArgs(capture=str(capture_path), out=str(run)))
    shutil.rmtree(person)
    assert cli.main(["fit", "--capture", str(capture_path), "--out", str(run), "--resume"]) in (0, 3)


def test_a_known_persons_cameras_are_found_by_name(finished, capture_path, settings, tmp_path, capsys):
    capture = tmp_path / "capture"
    shutil.copytree(capture_path, capture)
    edit(capture, lambda m: m["cameras"].reverse())
    config = replace(load_config(settings), init_from=str(finished), texture_size=128)
    for stage in config.stages.values():
        stage.steps, stage.rates = 1, {"translation": 1e-9}
    new = fit(config, RunArgs(capture=str(capture), out=str(tmp_path / "new"))).model
    assert "colours of 3 of 3 cameras taken" in capsys.readouterr().err
    old = load_run(finished).model
    assert torch.equal(new.appearance.log_gain.flip(0), old.appearance.log_gain)
    assert old.appearance.log_gain.any()


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_pictures_of_another_size_are_refused(moved, tmp_path, capsys, command):
    run, capture = moved
    edit(capture, lambda m: m["cameras"][0].update(width=30, height=40))
    out = [] if command == "evaluate" else ["--out", str(tmp_path / "out")]
    assert cli.main([command, str(run), "--capture", str(capture), *out]) == 2
    assert "was fitted to pictures of 60x80 of camera cam00, which now has 30x40" in capsys.readouterr().err


def test_the_second_run_of_a_report_keeps_its_own_capture(finished, moved, tmp_path, monkeypatch):
    (run, capture), seen = moved, []
    monkeypatch.setattr("headfit.commands.report.capture_of", lambda run, given, any_size=False: seen.append(given))
    monkeypatch.setattr("headfit.report.write_report", lambda *_: None)
    monkeypatch.setattr("headfit.fitting.run_folder.is_current", lambda *_: True)
    for first, second in ((run, finished), (finished, run)):
        words = ["report", first, "--capture", capture, "--compare", second, "--out", tmp_path / "r.html"]
        assert cli.main([str(word) for word in words]) == 0
    assert seen == [capture, None, capture, capture], "where it is, unless it is gone"


def test_an_unfinished_run_is_said_to_be(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    words = ["export", str(run), "--out", str(tmp_path / "meshes")]
    assert cli.main(words) == 0
    assert "not finished" not in capsys.readouterr().err
    file = run / "checkpoints/last.ckpt"
    content = torch.load(file, weights_only=True)
    torch.save(content | {"global_step": content["global_step"] - 3}, file)
    assert cli.main(words) == 0
    assert f"headfit: warning: {run} is not finished (steps left: 3)" in capsys.readouterr().err
    (run / "run.yaml").write_text((run / "run.yaml").read_text().replace("workers: 0", "workers: 2"))
    torch.save(content, file)
    assert cli.main(words) == 0
    assert f"{run} is not finished (the frames of its workers are not gathered yet)" in capsys.readouterr().err
