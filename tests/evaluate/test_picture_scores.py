"""Scores of pictures: a held-out camera's gain is fitted to it, a trained one's is its own."""

import numpy as np
import pytest

from headfit.evaluate.metrics import psnr
from headfit.evaluate.picture_scores import PictureScores

RNG = np.random.default_rng(0)
HEAD = np.zeros((16, 16), bool)
HEAD[2:14, 3:13] = True
FACE = HEAD & (np.arange(16)[:, None] < 8)


def pictures(gain=(1.0, 1.0, 1.0), noise=0.01):
    render = RNG.uniform(0.2, 0.8, (16, 16, 3))
    return render, render * gain + RNG.normal(0, noise, render.shape)


def test_the_sums_give_the_psnr_of_the_pixels():
    scores = PictureScores()
    render, image = pictures()
    scores.add("training", "cam00", render, image, HEAD, FACE)
    found = scores.result()["training"]
    assert found["psnr_db"] == pytest.approx(psnr(render, image, HEAD))
    assert found["face_psnr_db"] == pytest.approx(psnr(render, image, FACE))
    assert found["psnr_raw_db"] == found["psnr_db"] and "gains" not in found and found["views"] == 1


def test_a_held_out_camera_has_its_own_gain_over_all_of_its_views():
    scores = PictureScores()
    for _ in range(3):
        scores.add("held_out", "cam02", *pictures((1.05, 0.97, 1.1)), HEAD, FACE)
    found = scores.result()["held_out"]
    np.testing.assert_allclose(found["gains"]["cam02"], (1.05, 0.97, 1.1), atol=0.003)
    assert found["cameras"] == {"cam02": {key: found[key] for key in found if key not in ("cameras", "gains")}}
    assert found["psnr_db"] > 39 and found["psnr_raw_db"] < 32 and found["views"] == 3


def test_a_trained_camera_is_scored_as_it_is():
    scores = PictureScores()
    scores.add("training", "cam00", *pictures((1.1, 1.1, 1.1)), HEAD, np.zeros_like(HEAD))
    found = scores.result()["training"]
    assert found["psnr_db"] < 32 and found["face_psnr_db"] is None


def test_each_camera_has_its_own_means():
    scores = PictureScores()
    scores.add("training", "cam00", *pictures(noise=0.01), HEAD, FACE)
    for _ in range(3):
        scores.add("training", "cam01", *pictures(noise=0.05), HEAD, np.zeros_like(HEAD))
    found = scores.result()["training"]
    bad, good = found["cameras"]["cam01"], found["cameras"]["cam00"]
    assert (good["views"], bad["views"], found["views"]) == (1, 3, 4)
    assert good["psnr_db"] - bad["psnr_db"] == pytest.approx(20 * np.log10(5), abs=1.5)
    assert found["psnr_db"] == pytest.approx((good["psnr_db"] + 3 * bad["psnr_db"]) / 4)
    assert bad["face_psnr_db"] is None and found["face_psnr_db"] == good["face_psnr_db"]
