"""Cameras whose pictures were taken a fraction of a frame later or earlier than those of the others."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.views import ViewReader
from headfit.evaluate.lateness import late_by_fractions, lateness
from headfit.evaluate.residuals import measure_residuals
from headfit.fitting.config import FitConfig, RunArgs
from headfit.synth import synthesize
from tests.support.true_fit import true_fit

LATE_CAMERA = "cam01"


def moving_points(late: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Deviations and motions `[50,10,2]` of points, each with an offset of its own; one in twenty is wrong."""
    draw = np.random.default_rng(0)
    motion = draw.normal(0, 3, (50, 10, 2))
    deviation = -late * motion + draw.normal(0, 2, (50, 1, 2)) + draw.normal(0, noise, motion.shape)
    deviation[draw.random((50, 10)) < 0.05] += 40
    return deviation, motion


@pytest.mark.parametrize("late", [-0.4, 0.0, 0.15])
def test_the_lateness_of_noisy_points_is_found_within_its_error(late):
    found = lateness(*moving_points(late, noise=1.5))
    assert found.error == pytest.approx(1.5 / 3 / np.sqrt(1000), rel=0.5)
    assert abs(found.frames - late) < 3 * found.error
    assert found.significant == (late != 0)


def test_hidden_points_count_for_nothing():
    deviation, motion = moving_points(0.3, noise=0.1)
    hidden = deviation.copy()
    hidden[:25, ::2], hidden[40:] = np.nan, np.nan
    assert lateness(hidden, motion).frames == pytest.approx(0.3, abs=0.02)
    assert lateness(np.full_like(deviation, np.nan), motion) is None
    assert lateness(deviation[:, :2], motion[:, :2]) is None, "two frames tell nothing"


def test_a_head_that_keeps_still_tells_nothing():
    deviation, motion = moving_points(0.3, noise=0.1)
    assert lateness(deviation, np.zeros_like(motion)) is None
    assert lateness(deviation, np.ones_like(motion)) is None, "a steady drift looks like an offset"


@pytest.fixture(scope="module")
def half_a_frame_early(tmp_path_factory) -> Path:
    """Every second frame of a capture; but cam01 shows the next one, which is half a frame of these later: it is early,
    since what the others have in picture n it has in picture n - 1/2."""
    out = tmp_path_factory.mktemp("late") / "capture"
    synthesize(out, cameras=4, frames=21, width=60, height=80, seed=3)
    manifest = json.loads((out / "capture.json").read_text())
    names = manifest["frames"]
    for before, after in zip(names[0:-1:2], names[1::2], strict=True):
        for file in out.glob(f"*/{LATE_CAMERA}/{after}.*"):  # picture, mask and landmarks
            shutil.copy(file, file.with_stem(before))
    manifest["frames"] = names[0:-1:2]
    (out / "capture.json").write_text(json.dumps(manifest))
    return out


@pytest.mark.slow
def test_a_camera_that_is_half_a_frame_early_is_found(half_a_frame_early, tmp_path):
    args = RunArgs(capture=str(half_a_frame_early), out=str(tmp_path / "run"))
    model = true_fit(FitConfig(), args).model
    capture = open_capture(args.capture)
    views = measure_residuals(model, ViewReader(capture, model.classes, cache_bytes=0))
    late = late_by_fractions(model, capture, views)
    assert [capture.cameras[index].id for index, found in late.items() if found.significant] == [LATE_CAMERA]
    assert late[1].frames == pytest.approx(-0.5, abs=0.15)
    model.config = replace(model.config, use_landmarks=False)
    by_shift = late_by_fractions(model, capture, views)[1]  # of a picture of 60 x 80 pixels
    assert abs(by_shift.frames + 0.5) < 3 * by_shift.error < 0.5
