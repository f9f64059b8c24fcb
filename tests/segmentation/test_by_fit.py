"""Masks by a fitted head and the colours of a picture."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

from headfit.segmentation.by_fit import Shown, segmented, segmented_face
from headfit.segmentation.labels import (
    BACKGROUND,
    CLOTHES,
    HAIR,
    IGNORE,
    LABELS_BY_FIT,
    LABELS_WITH_INSIDE,
    LEFT_EYE,
    LIPS,
    MOUTH,
    RIGHT_EYE,
    SKIN,
    TEETH,
    TONGUE,
    UNKNOWN,
    known_parts,
    labels_by_fit,
    translated,
)
from headfit.types import Bool

NAMES = ("skin", "hair", "upper_lip", "mouth_cavity", "upper_teeth", "left_eye", "right_eye")
VALUE = {
    "skin": SKIN,
    "hair": HAIR,
    "upper_lip": LIPS,
    "mouth_cavity": MOUTH,
    "upper_teeth": TEETH,
    "left_eye": LEFT_EYE,
    "right_eye": RIGHT_EYE,
}
COLOUR = {
    "background": (70, 90, 80),
    "clothes": (40, 50, 110),
    "skin": (200, 150, 120),
    "hair": (60, 45, 40),
    "upper_lip": (180, 70, 70),
    "mouth_cavity": (60, 20, 25),
    "upper_teeth": (230, 225, 205),
    "left_eye": (225, 225, 225),
    "right_eye": (225, 225, 225),
}


def ellipse(x: float, y: float, across: float, up: float) -> Bool:
    row, column = np.mgrid[:400, :320] + 0.5
    return ((column - x) / across) ** 2 + ((row - y) / up) ** 2 < 1


def head(shift: float = 0.0, hairline: float = 110.0) -> np.ndarray:
    """Labels of a face from the front, moved to the right by some pixels; -1 beside it."""
    label = np.full((400, 320), -1)
    label[ellipse(160 + shift, 180, 100, 130)] = NAMES.index("skin")
    label[(label >= 0) & (np.mgrid[:400, :320][0] < hairline)] = NAMES.index("hair")
    parts = [(160, 250, 35, 20), (160, 250, 25, 10), (160, 246, 18, 5), (200, 170, 18, 9), (120, 170, 18, 9)]
    for name, (x, y, across, up) in zip(NAMES[2:], parts, strict=True):
        label[ellipse(x + shift, y, across, up)] = NAMES.index(name)
    return label


def shoulders() -> Bool:
    return ellipse(160, 420, 150, 90) & (head() < 0)


def picture(label: np.ndarray, **colours: tuple[int, int, int]) -> np.ndarray:
    image = np.zeros((*label.shape, 3)) + COLOUR["background"]
    image[shoulders()] = COLOUR["clothes"]
    for index, name in enumerate(NAMES):
        image[label == index] = colours.get(name, COLOUR[name])
    return np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def person(label: np.ndarray) -> np.ndarray:
    """What a person segmentation knows: a person and the background, and nothing 4 pixels around their border."""
    inside = (label >= 0) | shoulders()
    sure, perhaps = (change(inside, iterations=4) for change in (binary_erosion, binary_dilation))
    sure[396:] = inside[396:]  # the picture ends there, not the person
    return np.where(sure, SKIN, np.where(perhaps, UNKNOWN, BACKGROUND)).astype(np.uint8)


@pytest.fixture(scope="module")
def found() -> np.ndarray:
    """The mask of a picture whose fitted head is three pixels off, and has another hairline."""
    return segmented(picture(head()), person(head()), Shown(head(3.0, hairline=95.0), NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_each_part_ends_where_its_colours_end(found: np.ndarray, name: str) -> None:
    true, about = head() == NAMES.index(name), head(3.0, hairline=95.0) == NAMES.index(name)
    part = found == VALUE[name]
    wrong, before = (part ^ true).sum(), (about ^ true).sum()
    assert wrong < 0.35 * before, (wrong, before)


def test_who_is_beside_the_head_is_neither_head_nor_background(found: np.ndarray) -> None:
    assert (found[shoulders() & (np.mgrid[:400, :320][0] > 350)] == CLOTHES).mean() > 0.98
    background = (head() < 0) & ~shoulders()
    assert (found[background] == BACKGROUND).mean() > 0.995


def test_clothes_and_the_inside_of_the_mouth_stay_as_a_mask_tells_them() -> None:
    label, mask = head(), person(head())
    collar = ellipse(160, 310, 90, 30) & (label == NAMES.index("skin"))
    tongue, teeth = ellipse(160, 254, 15, 4), ellipse(160, 243, 15, 3)
    for region, value in ((collar, CLOTHES), (tongue, TONGUE), (teeth, TEETH)):
        mask[region] = value
    result = segmented(picture(label), mask, Shown(head(2.0), NAMES))
    assert (result[collar] == CLOTHES).all()
    assert (result[tongue] == TONGUE).all() and (result[teeth] == TEETH).all()
    inside = label == NAMES.index("mouth_cavity")
    assert (result[inside & ~tongue & ~teeth] == UNKNOWN).mean() > 0.9, "the mask says nothing there"


def test_what_a_mask_ignores_stays_ignored() -> None:
    """Glasses."""
    label, mask = head(), person(head())
    glasses = ellipse(160, 170, 70, 15)
    mask[glasses] = IGNORE
    result = segmented(picture(label), mask, Shown(head(2.0), NAMES))
    assert (result[glasses] == IGNORE).all()
    assert (result[~glasses] == IGNORE).sum() == 0


def test_hair_of_a_mask_stays_where_the_head_model_has_none() -> None:
    label, mask = head(), person(head())
    hair = label == NAMES.index("hair")
    mask[hair] = HAIR
    bald = np.where(hair, NAMES.index("skin"), label)
    assert (segmented(picture(label), mask, Shown(bald, ("skin", "scalp", *NAMES[2:])))[hair] == HAIR).all()


def test_what_stays_of_given_masks() -> None:
    names = {1: "skin", 2: "tongue", 3: "upper_teeth", 4: "mouth_cavity", 5: "cloth", 6: "ignore", 7: "hair", 8: "lips"}
    values = np.array([[0, *names]], np.uint8)
    told = known_parts(values, names | {0: "background"})[0].tolist()
    assert told == [BACKGROUND, SKIN, TONGUE, TEETH, MOUTH, CLOTHES, IGNORE, HAIR, SKIN]
    assert labels_by_fit(names) == LABELS_WITH_INSIDE
    without_tongue = {value: name for value, name in names.items() if name != "tongue"}
    told = known_parts(values, without_tongue)[0].tolist()
    assert told == [UNKNOWN, SKIN, UNKNOWN, SKIN, SKIN, CLOTHES, IGNORE, HAIR, SKIN], "all or nothing of the mouth"
    assert labels_by_fit(without_tongue) == LABELS_BY_FIT


def test_masks_of_others_in_these_values() -> None:
    names = {
        0: "background",
        1: "skin",
        2: "upper_lip",
        3: "teeth",
        4: "ignore",
        5: "hair",
        6: "inner_mouth",
        7: "brows",
    }
    values = np.array([[*names]], np.uint8)
    assert translated(values, names)[0].tolist() == [BACKGROUND, SKIN, LIPS, UNKNOWN, IGNORE, HAIR, UNKNOWN, SKIN]
    inside = names | {6: "mouth_cavity", 7: "tongue"}
    assert translated(values, inside)[0].tolist() == [BACKGROUND, SKIN, LIPS, TEETH, IGNORE, HAIR, MOUTH, TONGUE]
    no_lips = names | {2: "skin"}
    told = translated(values, no_lips)[0].tolist()
    assert told == [BACKGROUND, *[UNKNOWN] * 3, IGNORE, HAIR, *[UNKNOWN] * 2]


def test_what_was_found_leads_to_itself(found: np.ndarray) -> None:
    """Parts of the person that a mask does not tell apart stay parts of the person in the next mask."""
    again = segmented(picture(head()), found, Shown(head(), NAMES))
    assert (again == found).mean() > 0.99


def test_a_bald_head_is_skin() -> None:
    image = picture(head(), hair=(205, 156, 128))
    mask = segmented(image, person(head()), Shown(head(), NAMES))
    assert not np.isin(mask, (HAIR, IGNORE)).any()


def test_a_scalp_is_ignored_where_hair_and_skin_cannot_be_told_apart() -> None:
    """All of the head that the picture shows is scalp by the model: from behind."""
    label = np.where(head() >= 0, NAMES.index("hair"), -1)
    mask = segmented(picture(label), person(head()), Shown(label, NAMES))
    assert (mask[label >= 0] == IGNORE).mean() > 0.97


def test_an_eye_without_enough_pixels_is_unknown() -> None:
    label = head()
    label[label == NAMES.index("left_eye")] = 0
    label[168:170, 200:202] = NAMES.index("left_eye")
    mask = segmented(picture(label), person(label), Shown(label, NAMES))
    assert (mask == LEFT_EYE).sum() == 0 and mask[168, 200] == UNKNOWN and mask[250, 190] == LIPS


def test_teeth_are_found_where_the_fitted_head_shows_none() -> None:
    label = head()
    image, teeth = picture(label), label == NAMES.index("upper_teeth")
    shown = np.where(teeth, NAMES.index("mouth_cavity"), label)
    mask = segmented(image, person(label), Shown(shown, NAMES))
    assert ((mask == TEETH) ^ teeth).sum() < 0.1 * teeth.sum()
    assert (mask[(label == NAMES.index("mouth_cavity")) & ~teeth] == MOUTH).mean() > 0.9


def test_what_is_hardly_redder_than_teeth_is_unknown_and_a_gleam_is_not_a_tooth() -> None:
    label = head()
    image = picture(label, upper_teeth=(165, 84, 80))  # gums in the light, say
    image[255:257, 158:160] = 250
    mask = segmented(image, person(label), Shown(head(1.0), NAMES))
    teeth = label == NAMES.index("upper_teeth")
    assert (mask == TEETH).sum() == 0
    assert (mask[teeth] == UNKNOWN).mean() > 0.8 and (mask[255:257, 158:160] == UNKNOWN).all()


def test_a_grey_picture_tells_no_teeth() -> None:
    grey = np.repeat(picture(head()).mean(-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    mask = segmented(grey, person(head()), Shown(head(), NAMES))
    assert not (mask == TEETH).any() and mask[250, 160] == MOUTH


def test_without_a_background_in_the_mask_there_is_none_in_the_new_one() -> None:
    mask = segmented(picture(head()), np.full((400, 320), UNKNOWN, np.uint8), Shown(head(), NAMES))
    assert not (mask == BACKGROUND).any() and mask[5, 5] == UNKNOWN and (mask == LIPS).any()


def test_what_a_mask_does_not_know_of_a_person_is_not_background() -> None:
    """Only the background is known, as by a segmentation without landmarks."""
    known = np.where(person(head()) == BACKGROUND, BACKGROUND, UNKNOWN).astype(np.uint8)
    mask = segmented(picture(head()), known, Shown(head(), NAMES))
    inside = shoulders() & (np.mgrid[:400, :320][0] > 370)
    assert (mask[inside] == BACKGROUND).mean() < 0.05 and (mask[inside] == UNKNOWN).mean() > 0.5
    assert (mask == LIPS).any() and (mask[(head() < 0) & ~shoulders()] == BACKGROUND).mean() > 0.97


def test_a_head_of_some_pixels_is_not_looked_at() -> None:
    label = np.where(ellipse(310, 200, 8, 8), 0, -1)
    known = person(head())
    mask = segmented(picture(head()), known, Shown(label, NAMES))
    np.testing.assert_array_equal(mask, np.where(known == BACKGROUND, BACKGROUND, UNKNOWN))


def test_eyes_that_the_head_model_does_not_tell_apart_are_unknown() -> None:
    names = tuple("eyes" if name.endswith("_eye") else name for name in NAMES)
    mask = segmented(picture(head()), person(head()), Shown(head(), names))
    assert mask[170, 200] == mask[170, 120] == UNKNOWN and not np.isin(mask, (LEFT_EYE, RIGHT_EYE)).any()


def test_without_a_head_only_the_background_is_known() -> None:
    known = person(head())
    mask = segmented(picture(head()), known, Shown(np.full((400, 320), -1), NAMES))
    np.testing.assert_array_equal(mask, np.where(known == BACKGROUND, BACKGROUND, UNKNOWN))


def test_without_a_mask_lips_eyes_and_the_mouth_end_where_their_colours_end() -> None:
    mask = segmented_face(picture(head()), Shown(head(3.0), NAMES))
    for name in ("upper_lip", "left_eye", "right_eye", "mouth_cavity"):
        true, about = head() == NAMES.index(name), head(3.0) == NAMES.index(name)
        wrong, before = ((mask == VALUE[name]) ^ true).sum(), (about ^ true).sum()
        assert wrong < 0.35 * before, (name, wrong, before)


def test_without_a_mask_nothing_is_told_of_what_is_far_from_lips_and_eyes_or_near_the_outline() -> None:
    label = head()
    shown = Shown(label, NAMES)
    mask = segmented_face(picture(label), shown)
    parts = shown.of("upper_lip", "lower_lip", "left_eye", "right_eye", "mouth_cavity", "upper_teeth")
    from_parts = distance_transform_edt(~parts)
    from_outline = distance_transform_edt(shown.head)
    assert (mask[from_parts > 0.08 * shown.extent] == UNKNOWN).all()
    assert (mask[from_outline < 0.015 * shown.extent] == UNKNOWN).all()
    assert {SKIN, LIPS, LEFT_EYE, RIGHT_EYE} <= set(np.unique(mask)) and not np.isin(mask, (BACKGROUND, HAIR)).any()
    cut = np.where(np.mgrid[:400, :320][1] > 205, -1, label)  # the picture of a head that ends in the middle of an eye
    assert (segmented_face(picture(label), Shown(cut, NAMES))[:, 204:] == UNKNOWN).all()


def test_without_a_mask_a_head_of_some_pixels_tells_nothing() -> None:
    label = np.where(ellipse(310, 200, 8, 8), 0, -1)
    assert (segmented_face(picture(head()), Shown(label, NAMES)) == UNKNOWN).all()


def test_an_outline_that_is_not_cut_is_that_of_the_mask() -> None:
    """And hair that no mask tells may be skin, which nothing but the parts of the face is cut from."""
    label = head()
    known = np.where(person(label) == BACKGROUND, BACKGROUND, UNKNOWN).astype(np.uint8)
    shown = Shown(head(2.0), NAMES)
    mask = segmented(picture(label), known, shown, cut_outline=False)
    assert ((mask == BACKGROUND) == (known == BACKGROUND)).all() and not np.isin(mask, (HAIR, CLOTHES)).any()
    assert (mask[shown.of("hair") & (known != BACKGROUND)] == IGNORE).all()
    beside = ~shown.head & (known != BACKGROUND) & ellipse(160, 180, 103, 133) & (np.mgrid[:400, :320][0] > 120)
    assert beside.sum() > 100 and (mask[beside] == SKIN).all(), "the head may be larger than what is shown"
    for name in ("upper_lip", "left_eye", "mouth_cavity"):
        true = label == NAMES.index(name)
        assert ((mask == VALUE[name]) ^ true).sum() < 0.35 * (shown.of(name) ^ true).sum(), name
    whole = np.where(known == BACKGROUND, UNKNOWN, SKIN).astype(np.uint8)
    mask = segmented(picture(label), whole, shown, cut_outline=False)
    assert (mask[~shown.head] == UNKNOWN).all(), "nothing tells of a background"
    known[label == NAMES.index("hair")] = HAIR
    assert (segmented(picture(label), known, shown, cut_outline=False)[label == NAMES.index("hair")] == HAIR).all()
