import numpy as np
import pytest

from headfit.evaluate.metrics import LabelOverlap, psnr, ssim


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    target = rng.random((40, 50, 3))
    return np.clip(target + rng.uniform(-0.1, 0.1, target.shape), 0, 1), target


def test_psnr_of_a_constant_error():
    target = np.full((4, 5, 3), 0.4)
    mask = np.ones((4, 5), dtype=bool)
    assert psnr(target + 0.1, target, mask) == pytest.approx(20)
    assert psnr(target, target, mask) == float("inf")


def test_pixels_outside_the_mask_do_not_count(pictures):
    image, target = pictures
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[10:30, 10:30] = True
    spoiled = np.where(mask[..., None], image, 1 - image)
    assert psnr(spoiled, target, mask) == psnr(image, target, mask)
    assert ssim(spoiled, target, mask) == ssim(image, target, mask)
    everywhere = np.ones_like(mask)
    assert psnr(spoiled, target, everywhere) != psnr(image, target, everywhere)
    assert ssim(spoiled, target, everywhere) != ssim(image, target, everywhere)


def test_ssim_is_scikit_images(pictures):
    metrics = pytest.importorskip("skimage.metrics")
    image, target = pictures
    _, values = metrics.structural_similarity(
        image, target, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1, full=True,
    )  # fmt: skip
    everywhere = np.ones(image.shape[:2], dtype=bool)
    assert ssim(image, target, everywhere) == pytest.approx(values.mean(), abs=1e-9)
    assert ssim(target, target, everywhere) == pytest.approx(1)


def test_overlap_pools_sums_before_it_divides():
    overlap = LabelOverlap(["background", "skin", "lips"], {"head": ["skin", "lips"]})
    overlap.add(np.array([[1, 1, 2, 0]]), np.array([[1, 2, 2, 0]]))
    overlap.add(np.array([[2, 2, 2, 2]]), np.array([[0, 2, 2, 2]]))
    assert overlap.iou() == {
        "background": pytest.approx(1 / 2),
        "skin": pytest.approx(1 / 2),
        "lips": pytest.approx(4 / 6),  # the mean of the views' own 1/2 and 3/4 would be 0.625
        "head": pytest.approx(6 / 7),
    }


def test_overlap_leaves_out_ignored_pixels_and_unseen_classes():
    overlap = LabelOverlap(["background", "skin", "tongue"], {})
    overlap.add(np.array([[1, -1, 1]]), np.array([[1, 1, -1]]))
    assert overlap.iou() == {"skin": 1.0}
