"""Fits far from the world's origin, and of captures in a wrong or arbitrary unit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.evaluate import evaluate
from headfit.export import export_meshes
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.local_frame import enter_local_frame
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run

UTM = np.array([356_000.0, 4_560_000.0, 120.0])


def moved(source: Path, out: Path, shift: np.ndarray, factor: float) -> Path:
    """The capture with all lengths times `factor`, and then shifted (metres as its unit says)."""
    shutil.copytree(source, out)
    manifest = json.loads((out / "capture.json").read_text())
    for camera in manifest["cameras"]:
        camera["t"] = (factor * np.array(camera["t"]) - np.array(camera["R"]) @ shift).tolist()
    (out / "capture.json").write_text(json.dumps(manifest))
    for file in (out / "gt").glob("0*.npz"):
        arrays = dict(np.load(file))
        arrays["vertices"] = factor * arrays["vertices"].astype(np.float64) + shift
        np.savez(file, **arrays)
    return out


@pytest.mark.parametrize("use_landmarks", [True, False])
@pytest.mark.parametrize("factor", [0.03, 1.0, 650.0])
def test_a_head_is_brought_to_its_natural_size(capture_path, config, tmp_path, factor, use_landmarks):
    capture = open_capture(moved(capture_path, tmp_path / "capture", UTM, factor))
    before = open_capture(capture_path)
    world = enter_local_frame(capture, replace(config, use_landmarks=use_landmarks))
    assert world.scale == pytest.approx(1 / factor, rel=0.15)
    assert np.linalg.norm(world.origin - UTM) < 2 * max(1.0, factor)
    assert factor == 1 or ("landmarks" if use_landmarks else "masks") in world.reason
    point = np.array([0.01, 0.02, 0.03])
    local = world.to_local(factor * point + UTM)
    for camera, original in zip(capture.cameras, before.cameras, strict=True):
        np.testing.assert_allclose(camera.project(local), original.project(point), atol=1e-4)


@pytest.mark.slow
def test_a_fit_far_away_in_a_wrong_unit_is_as_good(capture_path, config, args, tmp_path):
    short = replace(config, stages={"rigid": config.stages["rigid"]})
    here = fit(short, args)
    capture = moved(capture_path, tmp_path / "capture", UTM, 0.01)
    there = fit(short, RunArgs(capture=str(capture), out=str(tmp_path / "there")))
    again = load_run(there.path)
    expected = 0.01 * here.model.world_vertices(0) + UTM
    size = np.linalg.norm(np.ptp(expected, axis=0))
    assert np.abs(again.model.world_vertices(0) - expected).max() < 0.005 * size
    export_meshes(again.model, tmp_path / "meshes", ["npz"])
    exported = np.load(tmp_path / "meshes/000000.npz")["vertices"]
    assert np.array_equal(exported, again.model.world_vertices(0)) and exported.dtype == np.float64
    scores = [evaluate(run, open_capture(run.args.capture))["distances"]["skin"]["median_mm"] for run in (here, again)]
    assert scores[1] == pytest.approx(scores[0], rel=0.1), "in millimetres of a head of natural size"
    fit(short, replace(there.args, resume=True))  # in the same frame


def test_a_known_persons_scale_is_kept(config: FitConfig, capture_path: Path, finished: Path) -> None:
    capture = open_capture(capture_path)
    assert enter_local_frame(capture, replace(config, init_from=str(finished))).is_identity
