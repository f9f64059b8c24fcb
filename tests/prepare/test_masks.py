"""Masks are certain or `unknown`."""

import numpy as np
import pytest

from headfit.prepare.face_mesh import LEFT_LIDS, RIGHT_LIDS, DenseLandmarks
from headfit.prepare.masks import (
    BACKGROUND,
    CONTOURS,
    INNER_LIPS,
    LEFT_EYE,
    LIPS,
    MOUTH,
    OUTER_LIPS,
    RIGHT_EYE,
    RING,
    SKIN,
    UNKNOWN,
    mask_of,
)


def circle(centre: tuple[float, float], radius: float, count: int) -> np.ndarray:
    angle = np.arange(count) / count * 2 * np.pi
    return np.array(centre) + radius * np.column_stack([np.cos(angle), np.sin(angle)])


def face(scatter: float = 0.2) -> DenseLandmarks:
    """Landmarks of a face of 160 pixels around (100, 100), with a round mouth and round eyes."""
    points = np.zeros((478, 3))
    points[:, :2] = circle((100, 100), 80, 478)
    points[list(OUTER_LIPS), :2] = circle((100, 140), 20, 20)
    points[list(INNER_LIPS), :2] = circle((100, 140), 10, 20)
    for lids, x in ((RIGHT_LIDS, 70), (LEFT_LIDS, 130)):
        points[[lids[i] for i in RING], :2] = circle((x, 80), 12, 16)
    return DenseLandmarks(points, np.full(478, scatter), 1.0)


def person() -> np.ndarray:
    """A disk of radius 90 that is certain, with a fuzzy border and a hole."""
    y, x = np.mgrid[:200, :200] + 0.5
    certainty = np.clip((92 - np.hypot(x - 100, y - 100)) / 4 + 0.5, 0, 1)
    certainty[78:82, 68:72] = 0.5
    return certainty


def test_every_part_is_where_the_landmarks_say() -> None:
    mask = mask_of(person(), face())
    at = {
        (100, 140): MOUTH,
        (85, 140): LIPS,
        (70, 80): RIGHT_EYE,
        (130, 80): LEFT_EYE,
        (100, 60): SKIN,
        (3, 3): BACKGROUND,
    }
    assert {place: mask[place[1], place[0]] for place in at} == at


def test_borders_are_unknown() -> None:
    mask = mask_of(person(), face())
    for x, y in ((120, 140), (110, 140), (82, 80), (100, 8)):  # lips, mouth, eye, head
        assert mask[y, x] == UNKNOWN


def test_parts_are_unknown_where_the_detector_is_in_doubt() -> None:
    mask = mask_of(person(), face(scatter=6.0))
    assert not np.isin(mask, [LIPS, MOUTH, LEFT_EYE, RIGHT_EYE]).any()
    assert mask[140, 100] == mask[80, 70] == UNKNOWN and mask[60, 100] == SKIN


def test_a_person_without_landmarks_is_unknown_and_the_background_is_not() -> None:
    mask = mask_of(person(), None)
    assert set(np.unique(mask)) == {BACKGROUND, UNKNOWN} and mask[60, 100] == UNKNOWN


def test_a_second_person_is_unknown() -> None:
    certainty = person()
    certainty[:6, :6] = 1.0
    assert mask_of(certainty, face())[2, 2] == pytest.approx(UNKNOWN)


def test_contours_that_other_views_know_are_unknown_in_a_view_without_a_face() -> None:
    landmarks = face()
    unknown = np.setdiff1d(np.arange(478), CONTOURS)
    landmarks.points[unknown] = np.nan
    landmarks.scatter[unknown], landmarks.scatter[list(CONTOURS)] = np.nan, np.inf
    mask = mask_of(person(), landmarks)
    assert set(np.unique(mask)) == {BACKGROUND, SKIN, UNKNOWN}
    assert mask[140, 100] == mask[80, 70] == UNKNOWN and mask[60, 100] == SKIN


def test_a_face_that_other_views_see_outside_of_this_picture_leaves_it_as_it_is() -> None:
    landmarks = face()
    landmarks.points[:, 0] += 1000
    assert set(np.unique(mask_of(person(), landmarks))) == {BACKGROUND, SKIN, UNKNOWN}
