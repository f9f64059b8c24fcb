"""Tracking a known person: what is taken over, what stays, what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headfit import cli
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import load_config, save_config
from headfit.fitting.known import LOOK, OF_CAMERA, take_known
from headfit.fitting.run import build, fit
from headfit.head.similarity import similarity
from headfit.synth import synthesize

TRACK = Path(__file__).parents[2] / "configs/track.yaml"
FEW = [f"stages.{name}.steps={steps}" for name, steps in (("express", 2), ("track", 4))]


@pytest.fixture(scope="module")
def captures(tmp_path_factory) -> tuple[Path, Path]:
    """Two captures of one performance: its first two frames, and the two after them."""
    folder = tmp_path_factory.mktemp("known")
    synthesize(folder / "all", cameras=4, frames=4, width=96, height=128, seed=5)
    manifest = json.loads((folder / "all/capture.json").read_text())
    for name, frames in (("first", manifest["frames"][:2]), ("second", manifest["frames"][2:])):
        shutil.copytree(folder / "all", folder / name)
        (folder / name / "capture.json").write_text(json.dumps({**manifest, "frames": frames}))
    return folder / "first", folder / "second"


@pytest.fixture(scope="module")
def true_person(captures, settings, tmp_path_factory) -> Path:
    """A run folder whose parameters are those that the capture was made with."""
    run = tmp_path_factory.mktemp("person") / "run"
    config = load_config(settings)
    config.capture, config.out = str(captures[0]), str(run)
    module = fit(config).module
    p = module.geometry
    with torch.no_grad():
        for parameter in (p.placement_raw, p.offset_field, p.log_scale):
            parameter.zero_()
        for frame, name in enumerate(module.capture.frames):
            truth = np.load(captures[0] / "gt" / f"{name}.npz")
            p.identity.copy_(torch.from_numpy(truth["identity"]))
            p.expression[frame] = torch.from_numpy(truth["expression"])
            p.joints_raw[frame] = torch.from_numpy(truth["joints"]) / p.joint_units
            v_head = p.head(p.identity, p.expression[[frame]], p.joints[[frame]])[0].double().numpy()
            target = truth["vertices"].astype(np.float64)
            _, rotation, translation = similarity(v_head, target, np.ones(len(v_head)), scale=1.0)
            p.start_rotation[frame], p.rotation[frame] = torch.from_numpy(rotation), 0
            p.translation[frame] = torch.from_numpy(translation)
    checkpoint = torch.load(run / CHECKPOINT, weights_only=False)
    checkpoint["state_dict"] = module.state_dict()
    torch.save(checkpoint, run / CHECKPOINT)
    return run


def tracking(capture: Path, person: Path, out: Path, overrides=()):
    config = load_config(TRACK, overrides)
    config.capture, config.out, config.init_from = str(capture), str(out), str(person)
    return config


def test_new_frames_of_a_known_person(captures, true_person, tmp_path):
    run = fit(tracking(captures[1], true_person, tmp_path / "run", ["stages.track.weights.photometric=0"]))
    known = torch.load(true_person / CHECKPOINT, weights_only=False)["state_dict"]
    state = run.module.state_dict()
    still = [name for name in state if name.startswith(("geometry.log_scale", *LOOK, *OF_CAMERA))]
    assert all(torch.equal(state[name], known[name]) for name in still), "size, texture and light stay the same"
    moved = (state["geometry.identity"] - known["geometry.identity"]).abs().max()
    assert 0 < moved < 0.4, "the head may follow what the new frames show of it, a little"
    skin = torch.unique(run.head.faces[run.head.face_labels == run.head.label_names.index("skin")].long())
    for frame, name in enumerate(run.frames):
        truth = np.load(captures[1] / "gt" / f"{name}.npz")
        error = np.linalg.norm(run.vertices(frame).numpy() - truth["vertices"], axis=1)[skin]
        assert np.median(error) < 0.001, "the skin is found to a millimetre in 68 steps"
        jaw = run.head.expression_names.index("jawOpen")
        assert run.module.geometry.expression[frame, jaw].item() == pytest.approx(truth["expression"][jaw], abs=0.15)


def test_the_run_folder_says_whom_it_knows_and_is_resumed(captures, true_person, tmp_path):
    config = tracking(captures[1], true_person, tmp_path / "run", FEW)
    first = fit(config)
    (tmp_path / "run" / CHECKPOINT).unlink()
    (tmp_path / "run/checkpoints/previous.ckpt").unlink()
    assert load_config(tmp_path / "run/config.yaml").init_from == str(true_person)
    resumed = fit(replace(config, resume=True))
    assert torch.equal(resumed.module.geometry.identity, first.module.geometry.identity)


def test_other_cameras_bring_no_colours(captures, true_person, tmp_path, capsys):
    other = tmp_path / "capture"
    shutil.copytree(captures[1], other)
    manifest = json.loads((other / "capture.json").read_text())
    manifest["cameras"][0]["id"] = "front"
    for kind in ("images", "masks", "landmarks"):
        (other / kind / "cam00").rename(other / kind / "front")
    manifest["cameras"][1]["t"][2] += 0.05
    (other / "capture.json").write_text(json.dumps(manifest))
    module = build(replace(tracking(other, true_person, tmp_path / "run"), texture_size=128))
    assert "colours of 2 of 4 cameras" in take_known(module)
    known = torch.load(true_person / CHECKPOINT, weights_only=False)["state_dict"]["appearance.log_gain"]
    assert known.abs().min() > 0
    assert (module.appearance.log_gain[:2] == 0).all()
    assert torch.equal(module.appearance.log_gain[2:].detach(), known[2:])


def test_what_cannot_be_taken_over_is_said(captures, true_person, tmp_path):
    with pytest.raises(HeadfitError, match=r"nobody: no run there"):
        fit(tracking(captures[1], tmp_path / "nobody", tmp_path / "run"))
    person = tmp_path / "person"
    shutil.copytree(true_person, person)
    config = load_config(person / "config.yaml")
    save_config(replace(config, head="other"), person / "config.yaml")
    with pytest.raises(HeadfitError, match="fitted head model 'other', not 'default'"):
        fit(tracking(captures[1], person, tmp_path / "run"))
    save_config(config, person / "config.yaml")
    shutil.rmtree(person / "checkpoints")
    with pytest.raises(HeadfitError, match="no finished run here"):
        fit(tracking(captures[1], person, tmp_path / "run"))


def test_the_command_line_chooses_the_tracking_configuration(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("headfit.fitting.run.fit", seen.append)
    assert cli.main(["fit", "--capture", "in", "--out", str(tmp_path), "--init-from", "earlier"]) == 0
    assert seen[0].init_from == str(Path("earlier").resolve())
    assert list(seen[0].stages) == ["express", "track"]
