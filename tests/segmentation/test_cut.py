"""A region's border moves to where the colours change."""

import cv2
import numpy as np
import pytest

from headfit.segmentation import cut
from headfit.segmentation.cut import COARSE, FINE, Band, cut_border
from headfit.types import Bool

EXTENT = 150.0


def ellipse(x: float, y: float, across: float, up: float) -> Bool:
    row, column = np.mgrid[:120, :160] + 0.5
    return ((column - x) / across) ** 2 + ((row - y) / up) ** 2 < 1


def picture(region: Bool, inner: tuple[int, int, int] = (180, 70, 70)) -> np.ndarray:
    """A region of one colour on skin, both with noise and lit from the left."""
    rng = np.random.default_rng(0)
    colours = np.where(region[..., None], inner, (200, 150, 120)) * np.linspace(1.1, 0.9, 160)[:, None]
    return np.clip(colours + rng.normal(0, 5, colours.shape), 0, 255).astype(np.uint8)


def iou(a: Bool, b: Bool) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("band", "up"), [(FINE, 20), (FINE, 4), (COARSE, 20)])
@pytest.mark.parametrize("shift", [(2.5, 0.0), (0.0, -2.0)])
def test_a_border_is_found_that_is_off_by_two_pixels(band: Band, up: float, shift: tuple[float, float]) -> None:
    true = ellipse(80, 60, 40, up)
    about = ellipse(80 + shift[0], 60 + shift[1], 40, up)
    found = cut_border(picture(true), about, np.ones_like(true), EXTENT, band)
    assert found is not None
    assert 1 - iou(found, true) < 0.4 * (1 - iou(about, true))


def test_it_stays_within_what_it_may_have() -> None:
    true = ellipse(80, 60, 40, 20)
    within = np.ones_like(true)
    within[:, :60] = False
    found = cut_border(picture(true), ellipse(80, 60, 38, 19) & within, within, EXTENT, FINE)
    assert found is not None and not found[:, :60].any() and iou(found, true & within) > 0.95


def test_the_same_picture_gives_the_same_border() -> None:
    true, about = ellipse(80, 60, 40, 20), ellipse(82, 60, 38, 20)
    first, second = (cut_border(picture(true), about, np.ones_like(true), EXTENT, FINE) for _ in range(2))
    assert first is not None and second is not None
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "region", [np.zeros((120, 160), bool), ellipse(80, 60, 0.6, 0.6), np.ones((120, 160), bool)], ids=str
)
def test_nothing_is_found_without_colours_of_both_sides(region: Bool) -> None:
    """An empty region, one of a pixel, and one without surroundings."""
    assert cut_border(picture(ellipse(80, 60, 40, 20)), region, np.ones_like(region), EXTENT, FINE) is None


def test_a_region_that_grows_beyond_recognition_is_not_found() -> None:
    wide = Band(150, 0.1, 0.3)
    true, about = ellipse(80, 60, 20, 20), ellipse(80, 60, 10, 10)
    assert cut_border(picture(true), about, np.ones_like(true), EXTENT, wide) is None
    found = cut_border(picture(true), about, np.ones_like(true), EXTENT, Band(150, 0.1, 0.3, growth=5.0))
    assert found is not None and iou(found, true) > 0.9


def test_a_large_picture_is_cut_in_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many pixels as a quarter of the picture enlarged six times, a border is still found."""
    monkeypatch.setattr(cut, "MAX_PIXELS", 160 * 120 * 9)
    sizes: list[int] = []
    grab_cut = cv2.grabCut
    monkeypatch.setattr(
        cut.cv2, "grabCut", lambda image, *rest: sizes.append(image.size // 3) or grab_cut(image, *rest)
    )
    true, about = ellipse(80, 60, 40, 20), ellipse(82.5, 60, 40, 20)
    found = cut_border(picture(true), about, np.ones_like(true), EXTENT, FINE)
    assert found is not None and 1 - iou(found, true) < 0.4 * (1 - iou(about, true))
    assert max(sizes) <= 160 * 120 * 9 * 1.02
