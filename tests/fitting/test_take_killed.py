"""A take whose driver is killed: its shards end with it, and `--resume` comes to the numbers of one that was not."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from headfit import cli
from headfit.errors import HeadfitError
from headfit.fitting import engines, shard, take
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run import fit
from headfit.fitting.settings import load_config, save_settings
from headfit.fitting.windows import Shard
from headfit.head import load
from headfit.synth import synthesize

SETTINGS = """
texture_size: 64
key_frames: 2
steps_per_checkpoint: 1
defaults:
  frames_per_step: 2
  resolution: 48
  views_per_frame: 1
  weights: {mask: 1, landmark: 400}
stages:
  person: {frames: key, steps: 1, rates: {translation: 0.002, identity: 0.08}}
  express: {frames: apart, steps: 2, rates: {translation: 0.002, expression: 0.1}}
"""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def forked(run: Callable[[], object]) -> int:
    """The number of a copy of this process that runs a function and ends."""
    process = os.fork()
    if process == 0:
        try:
            run()
        finally:
            os._exit(9)
    return process


def test_a_shard_ends_when_the_other_end_of_its_standard_input_is_gone(monkeypatch):
    ours, drivers = os.pipe()

    def a_shard() -> None:
        os.dup2(ours, 0)
        os.close(drivers)
        monkeypatch.setattr(sys, "argv", ["shard", "run", "0", "1"])
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: 0))
        monkeypatch.setattr(shard, "track_shard", lambda *_: time.sleep(60))
        shard.main()

    process = forked(a_shard)
    assert not within(0.3, lambda: os.waitpid(process, os.WNOHANG)[0] == process)
    os.close(drivers)
    ends = []
    assert within(20, lambda: ends.append(os.waitpid(process, os.WNOHANG)) or ends[-1][0] == process)
    assert os.waitstatus_to_exitcode(ends[-1][1]) == shard.ORPHANED


def test_the_standard_input_of_a_shard_ends_when_its_driver_is_killed(tmp_path, monkeypatch):
    program, started, ended = (tmp_path / name for name in ("program", "started", "ended"))
    program.write_text(f"#!/bin/sh\ntouch {started}\ncat\ntouch {ended}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    for index in range(2):
        shard.shard_folder(tmp_path, Shard(index, 2)).mkdir(parents=True)

    def a_driver() -> None:
        jobs = [engines.LocalEngine().start(tmp_path, index, 2) for index in range(2)]
        assert within(20, started.exists) and all(job.poll() is None for job in jobs) and not ended.exists()
        os.kill(os.getpid(), signal.SIGKILL)

    process = forked(a_driver)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert within(20, ended.exists)


class InThisProcess:
    """Shards that are done when they have been started. kill_at: the start at which the driver dies, in the shard's
    second window."""

    def __init__(self, kill_at: int = -1) -> None:
        self.starts: list[tuple[int, int]] = []
        self.kill_at = kill_at

    def start(self, run: Path, index: int, count: int) -> engines.Job:
        self.starts.append((index, count))
        with pytest.MonkeyPatch.context() as patch:
            if len(self.starts) == self.kill_at:
                write = shard.write_atomically
                patch.setattr(
                    shard, "write_atomically", lambda file, steps: write(file, steps) or dies(int(steps) == 3)
                )
            shard.track_shard(str(run), index, count)
        return SimpleNamespace(poll=lambda: 0, stop=lambda: None)


def dies(now: bool) -> None:
    if now:
        raise RuntimeError("killed")


@pytest.fixture(scope="module")
def settings_of_take(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitConfig, RunArgs]:
    folder = tmp_path_factory.mktemp("killed")
    synthesize(folder / "capture", cameras=3, frames=6, width=48, height=64, seed=2, head=load(small_head))
    (folder / "take.yaml").write_text(f"head: {small_head}\n{SETTINGS}")
    args = RunArgs(capture=str(folder / "capture"), out=str(folder / "run"), workers=1)
    return load_config(folder / "take.yaml"), args


@pytest.mark.slow
def test_a_killed_take_resumes_to_the_same_numbers_with_any_number_of_workers(settings_of_take, monkeypatch):
    config, args = settings_of_take
    engine = InThisProcess(kill_at=1)
    monkeypatch.setattr(take, "engine_of", lambda args: engine)
    with pytest.raises(RuntimeError, match="killed"):
        take.fit_take(config, args)
    engine.kill_at = -1
    again = args.out + "-again"
    shutil.copytree(args.out, again)
    monkeypatch.setattr("headfit.commands.fit._judge", lambda run: None)
    monkeypatch.setattr(take, "load_run", lambda run: None)
    states = []  # the first continues its shard, the second one's shards do all of their work
    for out, workers, starts in ((args.out, [], [(0, 1)]), (again, ["--workers", "2"], [(0, 2), (1, 2)])):
        engine.starts.clear()
        assert cli.main(["fit", "--capture", args.capture, "--out", out, "--resume", *workers]) == 0
        assert engine.starts == starts
        states.append(torch.load(Path(out) / CHECKPOINT, weights_only=True)["state_dict"])
    assert [name for name, value in states[0].items() if not torch.equal(value, states[1][name])] == []
    assert states[0]["model.visited"].all()


def test_a_run_goes_on_with_workers_only_if_it_began_with_them(tmp_path, settings_of_take):
    config, args = settings_of_take
    config = replace(config, texture_size=64)
    for began, resumed, remedy in ((2, 0, "with --workers 2; resume it with any"), (0, 2, "without --workers; resume")):
        run = tmp_path / f"began-with-{began}"
        run.mkdir()
        save_settings(config, replace(args, workers=began), run)
        with pytest.raises(HeadfitError, match=f"was begun {remedy}"):
            fit(config, replace(args, out=str(run), workers=resumed, resume=True))
