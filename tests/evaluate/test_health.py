"""What the summary after a fit names, and what it does not."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from headfit.capture import open_capture
from headfit.cli import main
from headfit.evaluate.health import HEALTH, Health, examine, format_health
from headfit.evaluate.report import evaluate, format_report
from headfit.evaluate.residuals import VIEWS
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run_folder import Run
from headfit.fitting.settings import load_config
from headfit.head import load
from headfit.synth import synthesize
from tests.support.true_fit import true_fit

pytestmark = pytest.mark.slow

STAGES = """
texture_size: 128
steps_per_picture: 100
stages:
  shape:
    steps: 40
    resolution: 96
    views_per_frame: 3
    blur: 2.0
    rates: {rotation: 0.006, translation: 0.001, scale: 0.002, identity: 0.1, expression: 0.05, joints: 0.03}
    weights: {mask: 1, landmark: 500, identity: 2.0e-3, expression: 1.0e-3, joints: 1.0e-2}
  photo:
    steps: 4
    resolution: 96
    views_per_frame: 3
    rates: {expression: 0.01, texture: 0.01, light: 0.005, gloss: 0.005, gain: 0.002}
    weights: {mask: 1, photometric: 0.5, expression: 1.0e-3}
"""


@pytest.fixture(scope="module")
def capture(small_head, tmp_path_factory) -> Path:
    """A capture, and settings in its folder."""
    out = tmp_path_factory.mktemp("health") / "capture"
    synthesize(out, cameras=5, frames=3, width=96, height=128, seed=3, head=load(small_head))
    # 44 steps find the head by its whole outline, so its painted hair counts as skin.
    manifest = json.loads((out / "capture.json").read_text())
    manifest["classes"] = {k: "skin" if name == "hair" else name for k, name in manifest["classes"].items()}
    (out / "capture.json").write_text(json.dumps(manifest))
    (out / "stages.yaml").write_text(f"head: {small_head}\n{STAGES}")
    return out


@pytest.fixture
def copy(capture, tmp_path) -> Path:
    shutil.copytree(capture, tmp_path / "capture")
    return tmp_path / "capture"


def settings(capture: Path, folder: Path) -> tuple[FitConfig, RunArgs]:
    return load_config(capture / "stages.yaml"), RunArgs(capture=str(capture), out=str(folder / "run"))


def true_health(capture: Path, folder: Path, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Health:
    """Of a fit with the true parameters, but for the translation of frame 2."""
    config, args = settings(capture, folder)
    model = true_fit(config, args).model
    with torch.no_grad():
        model.geometry.translation[2] += torch.tensor(shift)
    return examine(Run(folder, model, args), open_capture(capture))[0]


def move_principal_point(capture: Path, camera: int, pixels: float) -> None:
    manifest = json.loads((capture / "capture.json").read_text())
    manifest["cameras"][camera]["K"][0][2] += pixels
    (capture / "capture.json").write_text(json.dumps(manifest))


def test_a_healthy_fit_has_nothing_flagged(capture, tmp_path):
    health = true_health(capture, tmp_path)
    assert health.views == 15 and len(health.cameras) == 5
    assert health.frames == [] and health.ignored == {}
    assert [camera.camera for camera in health.cameras if camera.off] == []
    assert max(abs(value) for camera in health.cameras for value in (camera.x, camera.y)) < 0.25
    assert format_health(health).startswith("health: good\n") and format_health(health).count("\n") == 2
    assert health.floor.head_iou > 0.97 and health.floor.overlapping == 1 and health.floor.landmark_error < 0.01


def test_a_wrong_principal_point_is_measured_where_it_is(copy, tmp_path):
    move_principal_point(copy, 1, 4.0)
    cameras = {camera.camera: camera for camera in true_health(copy, tmp_path).cameras}
    assert [name for name, camera in cameras.items() if camera.off] == ["cam01"]
    assert (cameras["cam01"].x, cameras["cam01"].y) == pytest.approx((-4.0, 0.0), abs=0.3)
    assert cameras["cam01"].landmarks == pytest.approx((-4.0, 0.0), abs=0.1)


def test_a_swapped_image_is_named(copy, tmp_path):
    folder = copy / "images/cam02"
    shutil.copy(folder / "000000.png", folder / "000001.png")
    health = true_health(copy, tmp_path)
    assert [(frame.frame, frame.cameras) for frame in health.frames] == [("000001", ["cam02"])]
    assert health.frames[0].colour > 1.4
    assert "frame 000001: cam02" in format_health(health)


def test_a_frame_whose_pose_was_not_found_is_named(capture, tmp_path):
    health = true_health(capture, tmp_path, shift=(0.008, 0.0, 0.0))
    assert [frame.frame for frame in health.frames] == ["000002"]


def test_a_fit_that_overlaps_no_mask_has_failed(capture, tmp_path):
    config, args = settings(capture, tmp_path)
    model = true_fit(config, args).model
    with torch.no_grad():
        model.geometry.translation += torch.tensor((0.0, 0.25, 0.0))
    health, _ = examine(Run(tmp_path, model, args), open_capture(capture))
    assert health.verdict.startswith("failed: the head's IoU with the masks is ")
    assert health.floor.head_iou < 0.3 and health.floor.landmark_error > 0.3


@pytest.mark.parametrize(("shift", "inside"), [(0.0, True), (0.1, False)])
def test_a_matte_says_whether_the_head_is_inside_it(copy, tmp_path, shift, inside):
    manifest = json.loads((copy / "capture.json").read_text())
    for value, name in manifest["classes"].items():
        manifest["classes"][value] = name if name == "background" else "unknown"
    (copy / "capture.json").write_text(json.dumps(manifest))
    config, args = settings(copy, tmp_path)
    model = true_fit(config, args).model
    with torch.no_grad():
        model.geometry.translation += torch.tensor((shift, 0.0, 0.0))
    run = Run(tmp_path, model, args)
    health, _ = examine(run, open_capture(copy))
    assert (health.verdict == "good") is inside and (health.floor.head_iou > 0.95) is inside
    scores = evaluate(run, open_capture(copy))
    assert scores["iou"] == {} and scores["pictures"]["training"]
    assert "PSNR" in format_report(scores) and "IoU" not in format_report(scores)


def test_a_fit_with_a_wrong_camera_and_a_torn_image_says_so(copy, tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    move_principal_point(copy, 1, 4.0)
    torn = copy / "images/cam04/000002.png"
    torn.write_bytes(torn.read_bytes()[:300])
    run = tmp_path / "run"
    words = ["--capture", str(copy), "--out", str(run), "--config", str(copy / "stages.yaml")]
    assert main(["fit", *words]) == 0
    saved = json.loads((run / HEALTH).read_text())
    assert set(saved) == set(Health.__dataclass_fields__)
    assert saved["verdict"].startswith("look at ")
    views = json.loads((run / VIEWS).read_text())
    names = list(zip(views["frame"], views["camera"], strict=True))
    assert len(set(names)) == 15
    assert all(views["shift_x"][names.index((f"00000{frame}", "cam01"))] < -1 for frame in range(3))
    torn_view = names.index(("000002", "cam04"))
    assert [i for i, error in enumerate(views["colour_error"]) if error is None] == [torn_view]
    off = [camera for camera in saved["cameras"] if camera["off"]]
    assert [camera["camera"] for camera in off] == ["cam01"]
    assert off[0]["landmarks"] == pytest.approx([-4.0, 0.0], abs=0.1)
    printed = capsys.readouterr().out
    assert "camera cam01: its pictures lie" in printed and "images/cam04/000002.png" in printed
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    (text,) = events.Tensors("health/text_summary")
    assert "camera cam01" in text.tensor_proto.string_val[0].decode()
    assert events.Scalars("health/cameras_off")[0].value == 1
    assert events.Scalars("health/head_iou")[0].value == pytest.approx(saved["floor"]["head_iou"])
    assert "images/cam04/000002.png" in text.tensor_proto.string_val[0].decode()
