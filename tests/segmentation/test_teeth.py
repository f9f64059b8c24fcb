"""Teeth in masks that tell the inside of the mouth as one part. How they are found is also tested by `test_by_fit`."""

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest

from headfit.capture import CaptureSource, label_classes
from headfit.segmentation.teeth import with_teeth
from tests.support.flat_mouth import FlatMouth

MODEL = ("skin", "upper_lip", "lower_lip", "upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity")


def told(source: FlatMouth):
    return with_teeth(cast(CaptureSource, source))


def test_the_inside_of_a_mouth_is_told_by_its_colours_and_the_rest_of_a_mask_stays() -> None:
    source = FlatMouth()
    seen = told(source)
    given, mask = source.mask(0, 0), seen.mask(0, 0)
    names = np.array([seen.label_names.get(value, "") for value in range(256)])[mask]
    assert (names[source.teeth] == "teeth").all() and (names[source.cavity] == "mouth_cavity").all()
    np.testing.assert_array_equal(mask[given != 7], given[given != 7])
    assert (mask[source.cavity] == 7).all()
    assert seen.cameras is source.cameras and seen.image(0, 0).shape == (60, 80, 3)
    assert {"upper_lip", "lower_lip", "teeth", "mouth"} <= set(label_classes(MODEL, seen.label_names).names)
    assert told(seen) is seen


@pytest.mark.parametrize("case", ["damaged", "missing", "grey", "few lips"])
def test_a_mask_stays_where_nothing_tells_the_teeth(case: str) -> None:
    source = FlatMouth(damaged=case == "damaged")
    given, image = source.mask(0, 0), FlatMouth().image(0, 0)
    if case == "missing":
        source.image = lambda *_: None
    elif case == "grey":
        source.image = lambda *_: np.repeat(image.mean(-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    elif case == "few lips":
        given[(given == 2) | (given == 3)] = 1
        given[20, 20:30] = 2
        source.mask = lambda *_: given
    np.testing.assert_array_equal(told(source).mask(0, 0), given)


def test_what_is_beside_the_head_changes_nothing() -> None:
    """A large picture whose background is called clothes."""
    source = FlatMouth()
    source.label_names = source.label_names | {0: "clothes"}
    border = ((0, 1500), (0, 1500))
    mask, image = np.pad(source.mask(0, 0), border), np.pad(source.image(0, 0), (*border, (0, 0)))
    expected = told(source).mask(0, 0)
    source.mask, source.image = lambda *_: mask, lambda *_: image
    np.testing.assert_array_equal(told(source).mask(0, 0)[:60, :80], expected)


def test_a_picture_that_told_a_mask_is_decoded_once() -> None:
    source, decoded = FlatMouth(), []
    picture = source.image
    source.image = lambda *view: decoded.append(view) or picture(*view)
    source.image_reduced = lambda *_: np.zeros((8, 10, 3), np.uint8)
    seen = told(source)
    for view in ((0, 0), (0, 1)):
        masks = [seen.mask(*view), seen.mask(*view)]
        np.testing.assert_array_equal(*masks)
        assert seen.image_reduced(*view, reduction=8).shape == (60, 80, 3)
        np.testing.assert_array_equal(seen.image(*view), picture(*view))
    assert decoded == [(0, 0), (0, 1)]
    with ThreadPoolExecutor(1) as other:
        other.submit(seen.mask, 0, 1).result()
    assert decoded == [(0, 0), (0, 1), (0, 1)], "each thread reads its own views"
    assert seen.image_reduced(0, 0, reduction=8).shape == (8, 10, 3), "of another view, nothing is kept"


@pytest.mark.parametrize("part", ["teeth", "lower_teeth", "tongue"])
def test_masks_that_tell_a_part_stay(part: str) -> None:
    source = FlatMouth()
    source.label_names = source.label_names | {8: part}
    assert told(source) is source


def test_masks_without_lips_without_a_mouth_or_without_values_to_spare_stay() -> None:
    no_value_left = {value: "skin" for value in range(8, 256)} | {4: "skin", 5: "skin"}
    for others in ({2: "skin", 3: "skin"}, {7: "ignore"}, no_value_left):
        source = FlatMouth()
        source.label_names = source.label_names | others
        assert told(source) is source


def test_a_view_without_a_mask_or_with_a_closed_mouth_needs_no_picture() -> None:
    source = FlatMouth(damaged=True)
    closed = np.ones((60, 80), np.uint8)
    for mask in (None, closed):
        source.mask = lambda *_, mask=mask: mask
        assert told(source).mask(0, 0) is mask
