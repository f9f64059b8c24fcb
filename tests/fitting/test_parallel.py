"""Two processes take the same steps as one, up to rounding."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from headfit.capture.sampler import share_of
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import RunArgs
from headfit.fitting.run import fit
from headfit.fitting.settings import load_config, load_settings

pytestmark = pytest.mark.slow


def parameters(out: Path) -> dict[str, torch.Tensor]:
    """The parameters after a fit."""
    state: dict[str, torch.Tensor] = torch.load(out / CHECKPOINT, weights_only=False)["state_dict"]
    return state


def losses(out: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    return {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"] if tag.startswith("loss")}


#: Second-order steps of terms that draw no pixels, which each process draws for its own views.
SETTLE = """
stages:
  rigid: {}
  shape:
    {solver: gauss_newton, steps: 2, frames_per_step: 2, views_per_frame: 3, decay: 1.0, resolution: 80,
     rates: {translation: 0.02, expression: 0.3, scale: 0.05, identity: 0.5},
     weights: {landmark: 1000, expression: 1.0e-3, identity: 2.0e-3}}
  photo: {}
  settle:
    {solver: gauss_newton, steps: 2, frames_per_step: 2, views_per_frame: 3, decay: 1.0, resolution: 80,
     rates: {rotation: 0.1, translation: 0.02, expression: 0.3, joints: 0.2, detail: 0.5},
     weights: {landmark: 1000, temporal: 0.1, expression: 1.0e-3, joints: 1.0e-2, detail: 1.0e-3}}
"""


def test_two_processes_make_the_steps_of_one(capture_path, settings, tmp_path):
    """The first stage has two frames of two views; `photo` has one frame of three views, shared unevenly; in the
    second-order stages, each process has the views of one of the frames, and solves for both, and for the person."""
    own, settings = settings, tmp_path / "settle.yaml"
    settings.write_text(f"extends: {own}\n{SETTLE}")
    overrides = ["head=default", "stages.photo.frames_per_step=1", "stages.photo.views_per_frame=3"]
    fit(load_config(settings, overrides), RunArgs(capture=str(capture_path), out=str(tmp_path / "one")))
    words = ["--capture", str(capture_path), "--out", str(tmp_path / "two"), "--config", str(settings), *overrides]
    command = [sys.executable, "-m", "headfit.cli", "fit", *words, "--trainer.devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("fitted:") == done.stdout.count("health:") == 1
    one, two = parameters(tmp_path / "one"), parameters(tmp_path / "two")
    expected, found = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert expected.keys() == found.keys()
    for tag, values in expected.items():
        assert found[tag] == pytest.approx(values, rel=2e-3, abs=1e-7), tag
    for name in ("rotation", "translation", "log_scale", "identity", "expression", "joints_scaled", "placement_scaled"):
        moved = one[f"model.geometry.{name}"].abs().max().clamp_min(1e-6)
        error = (two[f"model.geometry.{name}"] - one[f"model.geometry.{name}"]).abs().max()
        assert error < 0.01 * moved, f"{name}: {error} of {moved}"


def test_shares_are_whole_and_even():
    views = [(frame, camera) for frame in range(3) for camera in range(3)]
    shares = [share_of(views, rank, 4) for rank in range(4)]
    assert [view for share in shares for view in share] == views
    assert {len(share) for share in shares} == {2, 3}


def test_more_processes_than_views_are_refused(capture_path, settings, tmp_path):
    config, args = load_settings(settings, ["trainer.devices=9"])
    args.capture, args.out = str(capture_path), str(tmp_path / "run")
    with pytest.raises(HeadfitError, match="4 views cannot be shared by 9 processes"):
        fit(config, args)
