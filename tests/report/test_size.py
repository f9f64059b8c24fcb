"""The size of the report of a long take by a large rig."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headfit.capture.camera import Camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.fitting.config import RunArgs
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import Run
from headfit.fitting.settings import save_settings
from headfit.report.facts import RunFacts
from headfit.report.page import render_report
from headfit.report.training import StageLog
from tests.support.saved_run import stages

FRAMES, CAMERAS, STEPS = 1000, 80, 20_000
TERMS = ("mask", "landmark", "photometric", "identity", "expression", "joints", "placement", "offsets", "detail")
RNG = np.random.default_rng(0)


def camera(index: int) -> Camera:
    """One of a ring that looks along z."""
    K = np.array([[900.0, 0, 192], [0, 900, 256], [0, 0, 1]])
    angle = 2 * np.pi * index / CAMERAS
    return Camera(f"cam{index:03d}", 384, 512, K, np.eye(3), np.array([np.cos(angle) / 10, np.sin(angle) / 10, 1.0]))


def made_up_run(folder: Path, head: Path) -> RunFacts:
    """A run of random numbers, which no curve shortens."""
    frames, cameras = [f"frame_{i:06d}" for i in range(FRAMES)], [camera(i) for i in range(CAMERAS)]
    summary = CaptureSummary("long", frames, 30.0, cameras, {}, WorldFrame.identity())
    config = replace(stages(), head=str(head), texture_size=1024, hold_out=["cam003", "cam050"])
    model = FittedHead.build(config, summary)
    model.texture_started.fill_(True)
    for values in (model.geometry.expression, model.geometry.joints_scaled, model.appearance.levels[-1]):
        values.data.uniform_(0, 0.5)
    folder.mkdir()
    save_settings(model.config, RunArgs(), folder)
    ids = [c.id for c in cameras]
    names = [(frame, ids[(i + k) % CAMERAS]) for i, frame in enumerate(frames) for k in range(2)]
    columns = ("wrong_labels", "colour_error", "shift_x", "shift_y", "head_iou", "landmark_error")
    views = {"frame": [f for f, _ in names], "camera": [c for _, c in names]}
    offset = {"x": 0.1, "y": 0.2, "spread": 0.3, "off": True, "corrected": 0.4}
    high = {"cameras": ids[:2], "mask": 2.0, "colour": 1.5}
    score = {"psnr_db": 31.25, "face_psnr_db": 30.5, "ssim": 0.875}
    return RunFacts(
        name=folder.name,
        is_compared=True,
        run=Run(folder, model, RunArgs()),
        health={
            "verdict": "look at 100 frames",
            "floor": {"head_iou": 0.9, "landmark_error": 0.01},
            "views": len(names),
            "ignored": {"damaged image": [f"images/{c}/{f}.png: truncated" for f, c in names]},
            "frames": [{"frame": frame, **high} for frame in frames[:100]],
            "cameras": [{"camera": c, **offset} for c in ids],
        },
        views=views | {column: RNG.uniform(0.001, 0.1, len(names)).tolist() for column in columns},
        scores={
            "pictures": {"training": {**score, "cameras": dict.fromkeys(ids, score)}},
            "distances": {"all": {"by_frame_mm": dict(zip(frames, RNG.uniform(0.3, 0.5, FRAMES), strict=True))}},
        },
        has_old_scores=True,
        environment={},
        stages=[
            StageLog(stage, list(range(STEPS)), 1e4, {term: RNG.uniform(size=STEPS) for term in TERMS})
            for stage in ("rigid", "shape", "photo", "rest", "detail", "hair")
        ],
    )


@pytest.mark.slow
def test_the_report_of_two_runs_of_1000_frames_and_80_cameras_can_be_mailed(small_head, tmp_path):
    one = made_up_run(tmp_path / "one", small_head)
    noise = RNG.integers(0, 256, (512, 384, 3)).astype(np.uint8)  # which JPEG cannot compress
    capture = SimpleNamespace(
        frames=one.frames,
        camera_index=one.run.model.capture.camera_index,
        image=lambda camera, frame: noise,
        mask=lambda camera, frame: None,
        label_names={},
    )
    page = render_report([one, replace(one, name="two")], [capture, capture])
    assert len(page.encode()) < 15e6
    assert page.count("<svg") > 100 and "and 1800 more" in page  # and 10 views, each with four pictures of each run
    assert page.count("data:image/jpeg") == 2 * (4 * 10 + 1)
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
