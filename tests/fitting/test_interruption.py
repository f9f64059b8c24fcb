"""A fit that is stopped from outside: what it says, its status, what is kept, what TensorBoard shows after --resume."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headfit import cli
from headfit.errors import HeadfitError
from headfit.files import describe
from headfit.fitting.callbacks import KeepLast, WholeFileIO
from headfit.fitting.checkpoints import CHECKPOINT, checkpoint_step
from headfit.fitting.lock import LOCK, locked
from headfit.fitting.module import HeadFit
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run
from headfit.interruption import Interrupted, raise_if_asked, signals_raise
from tests.support.slow_fit import FROM, SLOW_FIT

#: The progress bar, before its first step and later.
PROGRESS = re.compile(r"^(fit: \w+: +|health: +|) *\d+%\|.*\| \d+/\d+ \[.*\] *$")
#: The steps whose losses are logged in a run of ten steps in chunks of two: the first and the last of each.
ENTRIES = [*range(10)]


def logged_steps(run: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [event.step for event in events.Scalars("loss/total")]


@pytest.mark.parametrize(
    ("signum", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_a_fit_with_a_message_and_a_good_checkpoint(args, settings, capture_path, signum, status, name):
    words = ["--capture", str(capture_path), "--out", args.out]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_FIT, "fit", *words, "--config", str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = Path(args.out)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (run / CHECKPOINT).exists() and checkpoint_step(run / CHECKPOINT) == FROM:
            break
        time.sleep(0.05)
    time.sleep(0.45)  # into the next chunk
    process.send_signal(signum)
    process.send_signal(signum)  # as `timeout` does: to the process and to its group
    out, err = process.communicate(timeout=60)
    message = err.replace("\r", "\n").splitlines()[-1]
    assert process.returncode == status, err
    assert "Traceback" not in err and "fitted" not in out
    assert message.startswith(f"headfit: error: stopped by {name}. The checkpoint of step {FROM} is kept")
    assert message.endswith(f"Continue with: headfit fit --capture {capture_path} --out {run} --resume")
    assert not (run / LOCK).exists() and load_run(run)
    assert cli.main(["fit", *words, "--resume"]) == 0
    assert logged_steps(run) == ENTRIES, "each once"


def test_a_step_is_logged_once_also_without_any_checkpoint(config, args, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(KeepLast, "on_train_epoch_end", stop)
        with pytest.raises(Interrupted) as stopped:
            fit(config, args)
    assert "No checkpoint yet. Continue with: headfit fit --capture" in stopped.value.message
    resumed = fit(config, replace(args, resume=True))
    assert Counter(logged_steps(resumed.path)) == Counter(ENTRIES)


def stop(*_):
    raise Interrupted(signal.SIGTERM)


def test_a_signal_whose_exception_is_lost_is_raised_again():
    with signals_raise():
        with suppress(Interrupted):  # as Python does with exceptions of finalisers
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        with pytest.raises(Interrupted, match="SIGTERM") as stopped:
            raise_if_asked()
    assert stopped.value.status == 143
    raise_if_asked()  # it is over


def test_handlers_are_put_back_and_ignored_signals_stay_ignored():
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_raise():
            os.kill(os.getpid(), signal.SIGTERM)  # as under nohup
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_full_disk_stops_a_fit_that_can_be_resumed(config, args, monkeypatch):
    whole = WholeFileIO.save_checkpoint
    written = []

    def full(self, checkpoint, path, storage_options=None):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        whole(self, checkpoint, path, storage_options)

    with monkeypatch.context() as patch:
        patch.setattr(WholeFileIO, "save_checkpoint", full)
        with pytest.raises(HeadfitError, match=r"No space left on device; free some .* checkpoint of step 4 is kept"):
            fit(config, args)
    assert checkpoint_step(Path(args.out) / CHECKPOINT) == 4
    assert logged_steps(fit(config, replace(args, resume=True)).path) == ENTRIES


def test_checkpoints_are_limited_by_the_system_and_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError) as stopped:
            WholeFileIO().save_checkpoint({"x": torch.zeros(10_000)}, Path("big.ckpt"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert describe(stopped.value).startswith("big.ckpt: File too large; ")


def test_a_second_fit_in_the_folder_is_refused(config, args, monkeypatch):
    Path(args.out).mkdir()
    with locked(Path(args.out)):
        with pytest.raises(HeadfitError, match="another fit is running there"):
            fit(config, args)
        (Path(args.out) / "config.yaml").write_text("")
        with pytest.raises(HeadfitError, match="another fit is running there"):
            fit(config, replace(args, resume=True))
    monkeypatch.setattr(HeadFit, "training_step", stop)
    with pytest.raises(Interrupted):
        fit(config, args)
    assert not (Path(args.out) / LOCK).exists()


@pytest.mark.parametrize("name", ["file", "file/run", "/proc/nowhere"])
def test_a_run_folder_that_cannot_be_made(config, args, tmp_path, name):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(HeadfitError, match=r"(file|nowhere).*; (a file is in the way|check)"):
        fit(config, replace(args, out=str(tmp_path / name)))
    assert (tmp_path / "file").read_text() == "precious"


def test_a_fit_prints_only_what_is_about_the_fit(args, settings, capture_path):
    command = [sys.executable, "-W", "default", "-m", "headfit.cli", "fit", "--capture", str(capture_path)]
    done = subprocess.run(
        [*command, "--out", args.out, "--config", str(settings)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert [line for line in said if not PROGRESS.match(line)] == []
    assert any("fit: photo: 100%" in line for line in said) and "health: 100%" in said[-1]
    printed = [line for line in done.stdout.splitlines() if not line.startswith("headfit: stage ")]
    assert printed[0].startswith("health: ") and printed[-1] == f"fitted: {args.out}"
    assert [line for line in printed[1:-1] if not line.startswith(("  ", "verdict"))] == []


def test_a_full_disk_under_tensorboard_is_one_line(config, args, monkeypatch, capfd):
    """Its writer fails in a thread of its own."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
        with pytest.raises(HeadfitError, match=r"/run: No space left on device; free some space.*--resume"):
            fit(config, args)
    assert "Traceback" not in capfd.readouterr().err
    assert logged_steps(fit(config, replace(args, resume=True)).path) == ENTRIES
