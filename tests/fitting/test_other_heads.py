"""Fits with a custom head, an OBJ file with a YAML: from the images to the run folder and back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headfit.cli import main
from headfit.errors import HeadfitError
from headfit.export import MeshTopology
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run
from headfit.fitting.settings import load_config
from headfit.head import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head_yaml(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outside of the small head as a plain OBJ: landmarks, eyes and lips by name, one joint without effect."""
    folder = tmp_path_factory.mktemp("head")
    ours = load(small_head)
    with torch.no_grad():
        vertices = ours(
            torch.zeros(len(ours.identity_basis)),
            torch.zeros(1, len(ours.expression_names)),
            torch.zeros(1, len(ours.joint_names), 6),
        )[0]
    keep = torch.isin(
        ours.face_parts, torch.tensor([ours.part_names.index(n) for n in ("skin", "left_eye", "right_eye")])
    )
    names = [ours.label_names[label] for label in ours.face_labels[keep]]
    landmarks = ours.faces[ours.landmark_faces, ours.landmark_bary.argmax(1)]
    text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices.tolist())
    for face, name in zip((ours.faces[keep] + 1).tolist(), names, strict=True):
        text += f"usemtl {name}\nf {face[0]} {face[1]} {face[2]}\n"
    (folder / "head.obj").write_text(text)
    (folder / "head.yaml").write_text(
        "mesh: head.obj\nlabels:\n"
        + "".join(f"  {n}: {{material: {n}}}\n" for n in ("left_eye", "right_eye", "upper_lip", "lower_lip"))
        + f"landmarks: {landmarks.tolist()}\njoints:\n  neck: {{pivot: [0, -0.05, -0.03]}}\n"
    )
    return folder / "head.yaml"


def words(capture: Path, settings: Path, out: Path, head: Path) -> list[str]:
    return ["fit", "--capture", str(capture), "--out", str(out), "--config", str(settings), "--head", str(head)]


def test_a_mesh_is_fitted_exported_and_evaluated(capture_path, settings, head_yaml, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(head_yaml.parent)
    out = tmp_path / "run"
    assert main(words(capture_path, settings, out, Path("head.yaml"))) == 0
    assert load_config(out / "config.yaml").head == str(head_yaml), "found again from any folder"
    monkeypatch.chdir(tmp_path)
    model = load_run(out).model
    assert model.head.joint_names == ("neck",) and model.head.expression_names == ()
    assert (model.geometry.joints_scaled == 0).all(), "what moves nothing gets no gradient"
    assert model.geometry.offsets().abs().max() > 1e-6, "the offsets moved"
    truth = np.load(capture_path / "gt/000000.npz")["vertices"]
    skin = torch.unique(model.head.faces[model.head.face_labels == 0]).numpy()
    assert np.median(np.linalg.norm(model.vertices(0).numpy() - truth, axis=1)[skin]) < 0.02
    assert main(["export", str(out), "--out", str(tmp_path / "meshes"), "--format", "npz,obj"]) == 0
    assert MeshTopology.load(tmp_path / "meshes/topology.npz").faces.shape == model.head.faces.shape
    assert main(["render", str(out), "--out", str(tmp_path / "pictures"), "--cameras", "cam00"]) == 0
    assert main(["evaluate", str(out)]) == 0
    assert "PSNR" in capsys.readouterr().out


def test_a_run_resumes_with_its_head_and_with_no_other(
    capture_path, settings, head_yaml, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    config = load_config(settings)
    short = replace(config, head=str(head_yaml), stages={"rigid": config.stages["rigid"]})
    fit(short, RunArgs(capture=str(capture_path), out=str(out)))
    assert main(["fit", "--capture", str(capture_path), "--out", str(out), "--resume"]) == 0
    assert main(["fit", "--capture", str(capture_path), "--out", str(out), "--resume", "--head", "default"]) == 2
    assert "--resume with another head than the run began with" in capsys.readouterr().err


@pytest.fixture
def tiny(config: FitConfig, head_yaml: Path) -> FitConfig:
    return replace(config, head=str(head_yaml), stages={"rigid": config.stages["rigid"]})


def test_a_checkpoint_of_a_head_that_has_changed_is_refused(tiny, args, head_yaml, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "head.obj").write_text(head_yaml.with_name("head.obj").read_text())
    (copy / "head.yaml").write_text(head_yaml.read_text())
    config = replace(tiny, head=str(copy / "head.yaml"))
    fit(config, args)
    (copy / "head.yaml").write_text(head_yaml.read_text() + "units: 1.01\n")
    for again in (lambda: load_run(args.out), lambda: fit(config, replace(args, resume=True))):
        with pytest.raises(HeadfitError, match=r"another head model \(then .*copy/head.yaml, now .*copy/head.yaml"):
            again()
    (copy / "head.yaml").write_text(head_yaml.read_text())
    load_run(args.out)
    checkpoint = torch.load(Path(args.out) / CHECKPOINT, weights_only=False)
    assert checkpoint["head"]["name"] == config.head


def test_without_landmarks_eyes_and_lips_place_the_head(tiny, args, head_yaml, capture_path):
    bare = head_yaml.with_name("bare.yaml")
    bare.write_text("".join(line + "\n" for line in head_yaml.read_text().splitlines() if "landmarks" not in line))
    model = fit(replace(tiny, head=str(bare)), args).model
    truth = np.load(capture_path / "gt/000000.npz")["vertices"]
    skin = torch.unique(model.head.faces[model.head.face_labels == 0]).numpy()
    assert np.median(np.linalg.norm(model.vertices(0).numpy() - truth, axis=1)[skin]) < 0.03


def test_a_head_that_nothing_places_is_refused(tiny, args, head_yaml):
    bare = head_yaml.with_name("nothing.yaml")
    bare.write_text("mesh: head.obj\n")
    with pytest.raises(HeadfitError, match=r"nothing.yaml: cannot be placed: .* left_eye, right_eye, lips"):
        fit(replace(tiny, head=str(bare)), args)


def test_synth_renders_a_head_without_units_or_landmarks(head_yaml, tmp_path):
    bare = head_yaml.with_name("nothing.yaml")
    bare.write_text("mesh: head.obj\n")
    out = tmp_path / "capture"
    assert main(["synth", str(out), "--head", str(bare), "--cameras", "2", "--frames", "2", "--size", "48x64"]) == 0
    assert (out / "images/cam01/000001.png").is_file() and not (out / "landmarks").exists()
