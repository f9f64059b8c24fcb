"""A take over several processes of this machine."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from headfit.capture.decode import decode_label_image
from headfit.errors import HeadfitError
from headfit.fitting import engines, take
from headfit.fitting.config import FitConfig, RunArgs, Stage
from headfit.fitting.fit_masks import FOLDER
from headfit.fitting.run_folder import Run, load_run
from headfit.fitting.settings import load_config
from headfit.fitting.shard import PROGRESS, shard_folder, track_shard
from headfit.fitting.windows import Shard
from headfit.head import load
from headfit.segmentation.labels import LIPS
from headfit.synth import synthesize
from tests.support.relabelled import relabelled

SETTINGS = """
texture_size: 128
key_frames: 2
steps_per_checkpoint: 10
defaults:
  frames_per_step: 4
  resolution: 64
  weights: {mask: 1, landmark: 400, expression: 1.0e-3, joints: 1.0e-2, temporal: 0.1}
stages:
  person: {frames: key, steps: 6, rates: {rotation: 0.01, translation: 0.002, scale: 0.005, identity: 0.08}}
  express: {frames: apart, solver: gauss_newton, steps: 1, rates: {rotation: 0.2, translation: 0.05, expression: 0.3}}
  track: {frames: apart, steps: 2, rates: {rotation: 0.01, translation: 0.002, expression: 0.1, joints: 0.05}}
  seams: {frames: seams, solver: gauss_newton, steps: 2, rates: {translation: 0.01, expression: 0.1, detail: 0.5}}
"""
FRAMES = 11


@pytest.fixture(scope="module")
def folder(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("take")
    synthesize(folder / "capture", cameras=2, frames=FRAMES, width=48, height=64, seed=1, head=load(small_head))
    (folder / "take.yaml").write_text(f"head: {small_head}\n{SETTINGS}")
    return folder


class KillsOnce(engines.LocalEngine):
    """Processes of this machine, of which the second shard's is killed after its third step."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    def start(self, run: Path, index: int, count: int) -> engines.Job:
        job = super().start(run, index, count)
        if index == 1 and index not in self.starts:
            progress, poll = shard_folder(run, Shard(index, count)) / PROGRESS, job.poll

            def kill_then_poll() -> int | None:
                if progress.exists() and int(progress.read_text()) >= 3:
                    os.kill(job._process.pid, signal.SIGKILL)
                return poll()

            job.poll = kill_then_poll
        self.starts.append(index)
        return job


class InThisProcess:
    """Shards that are done when they have been started."""

    def start(self, run: Path, index: int, count: int) -> engines.Job:
        track_shard(str(run), index, count)
        return SimpleNamespace(poll=lambda: 0, stop=lambda: None)


def vertices(run: Run) -> torch.Tensor:
    return torch.stack([run.model.vertices(frame) for frame in range(FRAMES)])


@pytest.mark.slow
def test_two_processes_one_of_them_killed_give_the_numbers_of_one(folder, monkeypatch):
    config = load_config(folder / "take.yaml")
    args = RunArgs(capture=str(folder / "capture"), out=str(folder / "alone"))
    monkeypatch.setattr(take, "engine_of", lambda args: InThisProcess())
    alone = take.fit_take(config, replace(args, workers=1))
    engine = KillsOnce()
    monkeypatch.setattr(take, "engine_of", lambda args: engine)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    shared = take.fit_take(config, replace(args, out=str(folder / "shared"), workers=2))
    assert sorted(engine.starts) == [0, 1, 1]
    assert torch.equal(vertices(shared), vertices(alone))
    assert shared.model.visited.all() and torch.equal(vertices(load_run(folder / "shared")), vertices(alone))
    # What is complete is not done again.
    take.fit_take(config, replace(args, out=str(folder / "shared"), workers=2, resume=True))
    assert len(engine.starts) == 3


@pytest.mark.slow
@pytest.mark.parametrize("given", [False, True])
def test_masks_that_shards_make_do_not_depend_on_their_number(given, folder, tmp_path, monkeypatch):
    """Neighbouring shards share a folder of masks, and frames; the person has none, so no stage of it made any."""
    bare = relabelled(folder / "capture", tmp_path / "bare", lambda name: name if name == "background" else "unknown")
    if not given:
        shutil.rmtree(bare / "masks")
    config = load_config(folder / "take.yaml", ["stages.track.make_masks=true", "key_frames=1"])
    monkeypatch.setattr(take, "engine_of", lambda args: InThisProcess())
    runs = []
    for workers in (1, 2):
        args = RunArgs(capture=str(bare), out=str(tmp_path / f"made{workers}"), workers=workers)
        runs.append(take.fit_take(config, args))
    assert torch.equal(*(vertices(run) for run in runs))
    for run in runs:
        model = load_run(run.path).model
        assert model.capture.made_masks and model.masks_show_lips
        assert len(list((run.path / FOLDER).glob("*/*.png"))) == 2 * (FRAMES - 1), "all but the key frame's"
    mine, others = ({file.name: file.read_bytes() for file in (run.path / FOLDER).glob("cam00/*")} for run in runs)
    assert mine == others and any((decode_label_image(mask, "", 1) == LIPS).any() for mask in mine.values())


def test_what_cannot_be_shared_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    config = FitConfig(stages={"a": Stage(rates={"expression": 0.1}, weights={"mask": 1.0})})
    args = RunArgs(capture="nowhere", out=str(tmp_path / "run"), workers=2)
    with pytest.raises(HeadfitError, match=r"--workers: no stage .* --config configs/take\.yaml"):
        take.fit_take(config, args)
    with pytest.raises(HeadfitError, match="--cluster moon: not a cluster"):
        engines.engine_of(replace(args, cluster="moon"))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(HeadfitError, match=r"pip install 'headfit\[cluster\]'"):
        engines.engine_of(replace(args, cluster="slurm"))
    assert not (tmp_path / "run").exists()
