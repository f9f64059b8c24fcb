"""A mask that disagrees with the model far more than comparable ones counts less; right ones count in full."""

import numpy as np
import pytest
import torch

from headfit.capture import open_capture
from headfit.capture.data import CaptureData
from headfit.capture.framing import framings_at
from headfit.capture.summary import CaptureSummary
from headfit.fitting.config import FitConfig, Stage
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.mask_trust import judge_masks, trust_of
from headfit.fitting.model import FittedHead
from headfit.fitting.terms.mask import mask_loss
from headfit.synth import synthesize


def losses(frames: int = 5, cameras: int = 6) -> np.ndarray:
    """Usual mask losses `[F,C]`: they vary by half, and one camera's are twice as high."""
    loss = 0.05 * np.random.default_rng(0).uniform(0.8, 1.2, (frames, cameras))
    loss[:, 1] *= 2
    return loss


def test_right_masks_count_in_full() -> None:
    assert (trust_of(losses()) == 1).all()
    assert (trust_of(0.01 * losses()) == 1).all(), "hardly anything is wrong: ratios mean nothing"


def test_the_worse_a_mask_fits_the_less_it_counts() -> None:
    loss = losses()
    loss[2, 3], loss[4, 0] = 0.3, 1.5
    trust = trust_of(loss)
    assert trust[4, 0] < 0.01 < trust[2, 3] < 0.9
    assert (trust < 1).sum() == 2


def test_what_all_cameras_see_makes_no_mask_wrong_nor_what_one_sees_in_all_frames() -> None:
    mouth, ear = losses(), losses()
    mouth[2] *= 10  # it opens, and is not fitted yet
    ear[:, 5] *= 10
    assert (trust_of(mouth) == 1).all() and (trust_of(ear) == 1).all()


def test_one_frame_is_judged_by_its_cameras_and_few_views_by_nothing() -> None:
    loss = losses(frames=1)
    loss[0, 2] = 1.0
    assert trust_of(loss)[0, 2] < 0.02 and (trust_of(loss)[0, [0, 1, 3, 4, 5]] == 1).all()
    assert (trust_of(loss[:, 1:3]) == 1).all()


def test_views_without_a_mask_change_nothing() -> None:
    loss = losses()
    loss[2, 3] = 1.5
    expected = trust_of(loss)
    loss[0, :2] = np.nan
    found = trust_of(loss)
    assert (found[0, :2] == 1).all() and found[2, 3] == pytest.approx(expected[2, 3], rel=0.1)


@pytest.mark.slow
def test_a_wrong_mask_of_a_capture_is_found_and_carries_hardly_any_loss(tmp_path) -> None:
    synthesize(tmp_path / "capture", cameras=5, frames=1, width=72, height=96, seed=3)
    capture = open_capture(tmp_path / "capture")
    model = FittedHead.build(FitConfig(texture_size=64), CaptureSummary.of(capture))
    initialise_pose(model, capture)
    assert judge_masks(model, CaptureData(capture, model.classes), [0]) == 0

    right = capture.mask
    capture.mask = lambda c, f: np.roll(right(c, f), 20 if c == 2 else 0, axis=1)
    data = CaptureData(capture, model.classes)
    stages = (Stage(blur=0.0), Stage(blur=2.0))
    o = model.observe(data.view_batch([(0, 2)], framings_at(model.head_windows, 96)))
    before = [mask_loss(o, model, stage) for stage in stages]
    assert judge_masks(model, data, [0]) == 1 and model.mask_trust[0].argmin() == 2
    trust = model.mask_trust[0, 2]
    assert trust < 0.5
    for stage, loss in zip(stages, before, strict=True):
        torch.testing.assert_close(mask_loss(o, model, stage), loss * trust)
    assert judge_masks(model, data, []) == 0 and model.mask_trust[0, 2] < 1, "nothing is judged without frames"
