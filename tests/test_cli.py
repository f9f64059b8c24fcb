import subprocess
import sys
from pathlib import Path

import pytest

from headfit import cli
from headfit.commands.fit import settings_as_dotlist
from headfit.errors import HeadfitError

VERBS = ("import", "check", "landmarks", "fit", "export", "render", "evaluate", "view", "synth")


def run(capsys, *argv):
    """Exit code, stdout and stderr of one command."""
    try:
        code = cli.main(argv)
    except SystemExit as leave:  # argparse: --help and wrong usage
        code = leave.code
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_is_explained(capsys, verb):
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    for action in cli.parser()._subparsers._group_actions[0].choices[verb]._actions:
        assert action.help, action.dest
        if action.option_strings and not action.required and action.dest != "help":
            text = " ".join(out.split()).split(f"{action.option_strings[0]} ")[-1]
            assert "default:" in text, f"{verb} {action.option_strings[0]} does not say its default"


def test_help_names_every_verb_and_imports_no_torch():
    script = (
        "import sys; from headfit.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'help must be instant'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(f"    {verb}" in done.stdout for verb in (*VERBS, "models"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["fit", "--out", "x"], "--capture"),
        (["evaluate"], "RUN"),
        (["export", "run", "--out", "x", "--fromat", "ply"], "--fromat"),
        (["synth", "out", "--size", "192"], "WIDTHxHEIGHT"),
        (["synth", "out", "--frames", "0"], "at least 1"),
        (["paint"], "paint"),
        ([], "VERB"),
    ],
)
def test_wrong_usage(capsys, argv, message):
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert message in err


def test_a_users_error_is_one_line(capsys, tmp_path):
    code, _, err = run(capsys, "check", str(tmp_path / "nothing"))
    assert code == 2
    assert err.startswith("headfit: error: ") and err.count("\n") == 1
    assert "nothing" in err


def test_debug_shows_where_an_error_comes_from(capsys, tmp_path):
    code, _, err = run(capsys, "check", str(tmp_path / "nothing"), "--debug")
    assert code == 2
    assert "Traceback" in err and err.splitlines()[-1].startswith("headfit: error: ")


@pytest.mark.parametrize(("error", "code"), [(ZeroDivisionError("two\nlines"), 1), (KeyboardInterrupt(), 130)])
def test_our_own_errors_are_one_line_too(capsys, monkeypatch, error, code):
    def fail(*args):
        raise error

    monkeypatch.setattr("headfit.capture.check.check", fail)
    got, _, err = run(capsys, "check", "somewhere")
    assert got == code
    assert err.count("\n") == 1
    assert "interrupted" in err or "ZeroDivisionError: two lines (unexpected: run with --debug" in err


@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        ([], []),
        (["a.b=1"], ["a.b=1"]),
        (["--a.b=1"], ["a.b=1"]),
        (["--a.b", "1"], ["a.b=1"]),
        (["--a.b", "-1", "c=[1,2]", "--d.e=x=y"], ["a.b=-1", "c=[1,2]", "d.e=x=y"]),
    ],
)
def test_overrides(words, pairs):
    assert settings_as_dotlist(words) == pairs


@pytest.mark.parametrize("words", [["--a.b"], ["--a", "--b=1"], ["stray"]])
def test_overrides_that_are_none(words):
    with pytest.raises(HeadfitError, match=words[0]):
        settings_as_dotlist(words)


def test_fit_passes_options_and_overrides_to_the_configuration(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("headfit.fitting.run.fit", lambda *given: seen.append(given))
    monkeypatch.setattr("headfit.commands.fit._judge", lambda run: None)
    monkeypatch.setattr("headfit.commands.fit._packaged", lambda args: "configs/fit.yaml")
    code, _, err = run(
        capsys, "fit", "--capture", "in", "--out", "run", "--hold-out", "cam1", "cam2", "seed=3",
        "--hold-out", "cam3", "--no-landmarks", "--set", "key_frames=7", "--texture_size", "256", "--resume",
    )  # fmt: skip
    assert code == 0, err
    ((config, args),) = seen
    assert (args.capture, args.out, args.resume) == (str(Path("in").resolve()), "run", True)
    assert config.hold_out == ["cam1", "cam2", "cam3"]
    assert (config.seed, config.texture_size, config.use_landmarks, config.key_frames) == (3, 256, False, 7)


@pytest.mark.parametrize(("masks", "identity"), [(True, 2e-3), (False, 1e-2)])
def test_a_fit_without_masks_has_its_own_configuration(monkeypatch, capsys, tmp_path, masks, identity):
    seen = []
    monkeypatch.setattr("headfit.fitting.run.fit", lambda *given: seen.append(given))
    monkeypatch.setattr("headfit.commands.fit._judge", lambda run: None)
    monkeypatch.setattr("headfit.capture.open_capture", lambda path, selection: selection)
    monkeypatch.setattr("headfit.capture.source.shows_outline", lambda capture: masks)
    code, out, err = run(capsys, "fit", "--capture", "in", "--out", str(tmp_path / "run"))
    assert code == 0, err
    assert seen[0][0].stages["photo"].weights["identity"] == identity
    assert ("no masks of the background; using configs/no-masks.yaml" in out) == (not masks)


def test_fit_names_an_override_that_does_not_exist(monkeypatch, capsys):
    monkeypatch.setattr("headfit.commands.fit._packaged", lambda args: "configs/fit.yaml")
    code, _, err = run(capsys, "fit", "--capture", "in", "--out", "run", "--sed", "3")
    assert code == 2
    assert "sed" in err and err.count("\n") == 1
