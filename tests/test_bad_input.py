"""Bad input at the command line: one clear message each, no traceback, nothing written."""

import json
import shutil

import pytest

from headfit import cli
from headfit.synth import synthesize


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    out = tmp_path_factory.mktemp("bad") / "capture"
    synthesize(out, cameras=2, frames=1, width=48, height=64, seed=0)
    return out


def test_a_folder_without_capture_json(tmp_path, capsys):
    for verb in (["check", str(tmp_path)], ["fit", "--capture", str(tmp_path), "--out", str(tmp_path / "run")]):
        assert cli.main(verb) == 2
        error = capsys.readouterr().err
        assert str(tmp_path / "capture.json") in error and error.count("\n") == 1


def without_width(manifest):
    del manifest["cameras"][1]["width"]


def with_odd_label(manifest):
    value = next(key for key, name in manifest["classes"].items() if name == "tongue")
    manifest["classes"][value] = "tounge"


CASES = [
    (None, [], ["no_such_capture", "no such capture folder"]),
    (without_width, [], ["capture.json", "cam01", "width"]),
    (with_odd_label, [], ["capture.json", "tounge", "tongue"]),
    (lambda manifest: None, ["--hold-out", "cam77"], ["cam77", "cam00, cam01"]),
    (lambda manifest: None, ["stages.photo.stepz=3"], ["stepz"]),
    (lambda manifest: None, ["--config", "nowhere.yaml"], ["nowhere.yaml"]),
]


@pytest.mark.parametrize(("change", "words", "told"), CASES)
def test_fit_refuses_in_one_message(capture, tmp_path, capsys, change, words, told):
    path = tmp_path / "no_such_capture"
    if change is not None:
        path = tmp_path / "capture"
        shutil.copytree(capture, path)
        manifest = json.loads((path / "capture.json").read_text())
        change(manifest)
        (path / "capture.json").write_text(json.dumps(manifest))
    code = cli.main(["fit", "--capture", str(path), "--out", str(tmp_path / "run"), *words])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("headfit: error: ") and error.count("\n") == 1, error
    assert all(word in error for word in told), error
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert cli.main(["check", str(tmp_path), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
