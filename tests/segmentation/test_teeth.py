"""Teeth in masks that tell the inside of the mouth as one part. How they are found is also tested by `test_by_fit`."""

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


def test_without_its_picture_the_inside_of_a_mouth_is_unknown() -> None:
    source = FlatMouth(damaged=True)
    seen = told(source)
    given, mask = source.mask(0, 0), seen.mask(0, 0)
    assert {seen.label_names[value] for value in mask[given == 7]} == {"unknown"}
    np.testing.assert_array_equal(mask[given != 7], given[given != 7])


@pytest.mark.parametrize("part", ["teeth", "lower_teeth", "tongue", "gums"])
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
