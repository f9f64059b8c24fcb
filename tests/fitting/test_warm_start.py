"""Tracking a known person: what is taken over, what stays, what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headfit import cli
from headfit.capture import open_capture
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.groups import entry_of
from headfit.fitting.run import build, fit
from headfit.fitting.run_folder import model_state
from headfit.fitting.settings import load_config, load_run_settings, save_settings
from headfit.fitting.warm_start import load_person
from headfit.head.similarity import similarity
from headfit.synth import synthesize

pytestmark = pytest.mark.slow

TRACK = Path(__file__).parents[2] / "configs/track.yaml"
FEW = [f"stages.{name}.steps={steps}" for name, steps in (("express", 2), ("track", 1), ("finish", 2))]


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
    model = fit(load_config(settings, ["head=default"]), RunArgs(capture=str(captures[0]), out=str(run))).model
    p = model.geometry
    with torch.no_grad():
        for parameter in (p.placement_scaled, p.offset_field, p.log_scale):
            parameter.zero_()
        for frame, name in enumerate(model.capture.frames):
            truth = np.load(captures[0] / "gt" / f"{name}.npz")
            p.identity.copy_(torch.from_numpy(truth["identity"]))
            p.expression[frame] = torch.from_numpy(truth["expression"])
            p.joints_scaled[frame] = torch.from_numpy(truth["joints"]) / p.joint_units
            v_head = p.head(p.identity, p.expression[[frame]], p.joints[[frame]])[0].double().numpy()
            target = truth["vertices"].astype(np.float64)
            _, rotation, translation = similarity(v_head, target, np.ones(len(v_head)), scale=1.0)
            p.start_rotation[frame], p.rotation[frame] = torch.from_numpy(rotation), 0
            p.translation[frame] = torch.from_numpy(translation)
    checkpoint = torch.load(run / CHECKPOINT, weights_only=False)
    checkpoint["state_dict"] = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save(checkpoint, run / CHECKPOINT)
    return run


def tracking(capture: Path, person: Path, out: Path, overrides=()) -> tuple[FitConfig, RunArgs]:
    config = replace(load_config(TRACK, overrides), init_from=str(person))
    return config, RunArgs(capture=str(capture), out=str(out))


def person_of(run: Path) -> dict[str, torch.Tensor]:
    return model_state(torch.load(run / CHECKPOINT, weights_only=False))


def test_new_frames_of_a_known_person(captures, true_person, tmp_path):
    # The texture of that person has hardly been fitted.
    by_masks = [f"stages.{name}.weights.photometric=0" for name in ("track", "finish")]
    run = fit(*tracking(captures[1], true_person, tmp_path / "run", by_masks))
    known, state = person_of(true_person), run.model.state_dict()
    still = [name for name in state if entry_of(name).scope in ("person", "look", "camera")]
    assert "geometry.identity" in still
    assert all(torch.equal(state[name], known[name]) for name in still), "the head, texture and light stay the same"
    head = run.model.head
    skin = head.vertices_of("skin")
    for frame, name in enumerate(run.model.capture.frames):
        truth = np.load(captures[1] / "gt" / f"{name}.npz")
        error = np.linalg.norm(run.model.vertices(frame).numpy() - truth["vertices"], axis=1)[skin]
        assert np.median(error) < 0.0015, "the skin is found to half a pixel"
        jaw = head.expression_names.index("jawOpen")
        assert run.model.geometry.expression[frame, jaw].item() == pytest.approx(truth["expression"][jaw], abs=0.15)


def test_the_run_folder_says_whom_it_knows_and_is_resumed(captures, true_person, tmp_path):
    config, args = tracking(captures[1], true_person, tmp_path / "run", FEW)
    first = fit(config, args)
    (tmp_path / "run" / CHECKPOINT).unlink()
    (tmp_path / "run/checkpoints/previous.ckpt").unlink()
    assert load_run_settings(tmp_path / "run")[0].init_from == str(true_person)
    resumed = fit(config, replace(args, resume=True))
    for name in ("expression", "detail_mm"):
        assert torch.equal(getattr(resumed.model.geometry, name), getattr(first.model.geometry, name))
    assert first.model.geometry.detail_mm.abs().max() > 0


def test_other_cameras_bring_no_colours(captures, true_person, tmp_path, capsys):
    other = tmp_path / "capture"
    shutil.copytree(captures[1], other)
    manifest = json.loads((other / "capture.json").read_text())
    manifest["cameras"][0]["id"] = "front"
    for kind in ("images", "masks", "landmarks"):
        (other / kind / "cam00").rename(other / kind / "front")
    manifest["cameras"][1]["t"][2] += 0.05
    (other / "capture.json").write_text(json.dumps(manifest))
    config, args = tracking(other, true_person, tmp_path / "run")
    model = build(replace(config, texture_size=128), args, open_capture(other)).model
    assert "colours of 2 of 4 cameras" in load_person(model)
    known = person_of(true_person)["appearance.log_gain"]
    assert known.abs().min() > 0
    assert (model.appearance.log_gain[:2] == 0).all()
    assert torch.equal(model.appearance.log_gain[2:].detach(), known[2:])


def test_what_cannot_be_taken_over_is_said(captures, true_person, tmp_path):
    with pytest.raises(HeadfitError, match=r"nobody: no run there"):
        fit(*tracking(captures[1], tmp_path / "nobody", tmp_path / "run"))
    person = tmp_path / "person"
    shutil.copytree(true_person, person)
    config, args = load_run_settings(person)
    save_settings(replace(config, head="other"), args, person)
    with pytest.raises(HeadfitError, match="fitted head model 'other', not 'default'"):
        fit(*tracking(captures[1], person, tmp_path / "run"))
    save_settings(config, args, person)
    shutil.rmtree(person / "checkpoints")
    with pytest.raises(HeadfitError, match="no finished run here"):
        fit(*tracking(captures[1], person, tmp_path / "run"))


def test_the_command_line_chooses_the_tracking_configuration(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("headfit.fitting.run.fit", lambda *given: seen.append(given))
    monkeypatch.setattr("headfit.commands.fit._judge", lambda run: None)
    assert cli.main(["fit", "--capture", "in", "--out", str(tmp_path), "--init-from", "earlier"]) == 0
    assert seen[0][0].init_from == str(Path("earlier").resolve())
    assert list(seen[0][0].stages) == ["express", "track", "finish"]
