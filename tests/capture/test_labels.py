from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.labels import label_classes, native_name
from headfit.errors import HeadfitError

MODEL = ("skin", "upper_lip", "lower_lip", "upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity")
MODEL += ("left_eye", "right_eye", "hair", "ears", "neck")
HALVES = ["upper_lip", "lower_lip", "upper_teeth", "lower_teeth"]
INSIDE = ["tongue", "gums", "mouth_cavity"]
EYES = ["left_eye", "right_eye"]


def mapping(capture_names: list[str], model: tuple[str, ...] = MODEL) -> tuple[dict[str, str], dict[str, str]]:
    """Model label -> class name, capture label -> class name ('-' where ignored)."""
    classes = label_classes(model, dict(enumerate(capture_names)))
    assert classes.names[0] == "background"
    assert len(set(classes.names)) == len(classes)
    names = (*classes.names, "-")  # -1 finds the last
    from_model = {label: names[index] for label, index in zip(model, classes.from_model, strict=True)}
    return from_model, {label: names[classes.from_capture[i]] for i, label in enumerate(capture_names)}


def test_everything_known_on_both_sides_stays_apart_except_paint_on_the_skin() -> None:
    capture_names = ["background", "skin", "hair", *HALVES, *INSIDE, *EYES, "brows", "nose"]
    model, capture = mapping(capture_names)
    for label in (*HALVES, "tongue", *EYES):
        assert model[label] == capture[label] == label
    assert model["hair"] == capture["hair"] == "hair"
    assert model["ears"] == model["neck"] == "skin"
    assert capture["brows"] == capture["nose"] == capture["skin"] == "skin"
    assert model["gums"] == capture["gums"] == model["mouth_cavity"] == "mouth"


def test_hair_that_only_one_side_knows() -> None:
    model, _ = mapping(["background", "skin"])
    assert model["hair"] == "skin", "painted on the model's scalp"
    _, capture = mapping(["background", "skin", "hair"], ("skin", "lips"))
    assert capture["hair"] == "-", "hair is not the skull's outline"


def test_halves_merge_where_one_side_has_only_the_union() -> None:
    model, capture = mapping(["background", "skin", "lips", "teeth", *INSIDE])
    assert model["upper_lip"] == model["lower_lip"] == capture["lips"] == "lips"
    assert model["upper_teeth"] == model["lower_teeth"] == capture["teeth"] == "teeth"


def test_halves_and_union_in_one_capture_compare_as_the_union() -> None:
    _, capture = mapping(["background", "skin", "upper_lip", "lower_lip", "lips"])
    assert {capture[label] for label in ("upper_lip", "lower_lip", "lips")} == {"lips"}


def test_one_half_alone_is_not_the_union() -> None:
    model, capture = mapping(["background", "skin", "upper_lip"])
    assert model["upper_lip"] == model["lower_lip"] == capture["upper_lip"] == "skin"


def test_the_mouths_inside_falls_to_the_cavity_then_to_the_lips_then_to_skin() -> None:
    inside = ("upper_teeth", "gums", "tongue", "mouth_cavity")
    model, _ = mapping(["background", "skin", "lips", "mouth_cavity"])
    assert {model[label] for label in inside} == {"mouth"}
    model, _ = mapping(["background", "skin", "lips"])
    assert {model[label] for label in inside} == {"lips"}
    model, _ = mapping(["background", "skin"])
    assert {model[label] for label in (*inside, *HALVES, *EYES)} == {"skin"}


def test_a_model_that_knows_less_than_the_capture() -> None:
    _, capture = mapping(
        ["background", "skin", "lips", "tongue", "mouth_cavity", *EYES], ("skin", "lips", "mouth_cavity")
    )
    assert capture["tongue"] == capture["mouth_cavity"] == "mouth"
    assert capture["left_eye"] == capture["right_eye"] == "skin"


def test_clothes_ignore_and_unused_values_carry_no_loss() -> None:
    classes = label_classes(MODEL, {0: "background", 1: "skin", 7: "clothes", 9: "ignore"})
    assert classes.from_capture[[0, 1, 7, 9, 200]].tolist() == [0, 1, -1, -1, -1]


def test_aliases_and_spelling() -> None:
    assert native_name("scalp_hair") == "hair"
    assert native_name("Left Eyeball") == "left_eye"
    assert native_name("upper-lip") == "upper_lip"


def test_classes_of_the_real_capture(real_capture: Path) -> None:
    classes = label_classes(MODEL, open_capture(real_capture).label_names)
    expected = {"background", "skin", "lips", "teeth", "mouth", "tongue", "left_eye", "right_eye", "hair"}
    assert set(classes.names) == expected
    assert (classes.from_model >= 0).all()
    np.testing.assert_array_equal(np.unique(classes.from_capture[:11]), np.arange(len(expected)))


def test_an_unknown_name_is_named_with_a_guess() -> None:
    with pytest.raises(HeadfitError, match=r"'uper_lip'.*Did you mean 'upper_lip'.*background, skin"):
        label_classes(MODEL, {0: "background", 1: "uper_lip"})


def test_the_inner_mouth_is_all_that_shows_between_the_lips() -> None:
    model, capture = mapping(["background", "skin", "upper_lip", "lower_lip", "inner_mouth"])
    assert {model[label] for label in ("upper_teeth", *INSIDE)} == {capture["inner_mouth"]} == {"mouth"}
    model, capture = mapping(["background", "skin", "lips", "inner_mouth", "teeth", "tongue"])
    assert {model["upper_teeth"], model["tongue"], capture["teeth"], capture["tongue"]} == {"mouth"}


def test_the_inside_is_ignored_where_masks_have_two_lips_and_no_inside() -> None:
    """It is one of them, or neither: a parser shows something else there each time."""
    model, capture = mapping(["background", "skin", *HALVES, "tongue"])
    assert model["mouth_cavity"] == model["gums"] == "-"
    assert {label: model[label] for label in (*HALVES, "tongue")} == {label: label for label in (*HALVES, "tongue")}
    assert "-" not in capture.values()
    model, _ = mapping(["background", "skin", "upper_lip", "lower_lip"])
    assert {model[label] for label in ("upper_teeth", *INSIDE)} == {"-"}
    model, _ = mapping(["background", "skin", "lips", "teeth"])
    assert {model[label] for label in INSIDE} == {"-"} and model["upper_teeth"] == "teeth"


def test_eyes_without_their_side_are_one_class() -> None:
    model, capture = mapping(["background", "skin", "eyes"])
    assert model["left_eye"] == model["right_eye"] == capture["eyes"] == "eyes"
    model, capture = mapping(["background", "skin", "eyes"], ("skin", "left_eye"))
    assert model["left_eye"] == capture["eyes"] == "skin"
    model, _ = mapping(["background", "skin", "left_eye"])
    assert (model["left_eye"], model["right_eye"]) == ("left_eye", "skin")


def test_a_union_is_no_class_where_its_members_are() -> None:
    names = label_classes(MODEL, dict(enumerate(["background", "skin", *HALVES, *INSIDE, *EYES]))).names
    assert {"lips", "teeth", "eyes"}.isdisjoint(names)
