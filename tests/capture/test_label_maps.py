"""The label maps that come with headfit: by name, whole, and with what each parser cannot tell."""

from pathlib import Path

import pytest

from headfit.capture.json_value import JsonValue
from headfit.capture.labels import label_classes
from headfit.capture.mask_labels import MAPS, read_labels
from headfit.errors import HeadfitError

MODEL = ("skin", "upper_lip", "lower_lip", "upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity")
MODEL += ("left_eye", "right_eye", "brows", "ears", "neck", "nose")
INSIDE = {"upper_teeth", "lower_teeth", "gums", "tongue", "mouth_cavity"}
LIPS = {"upper_lip", "lower_lip"}
#: How the model's labels are compared by datasets with classes for the parts of the mouth; - is not at all.
CLASSES_BY_PARTS = {label: label for label in (*LIPS, "upper_teeth", "lower_teeth", "tongue")}
CLASSES_BY_PARTS |= {"gums": "-", "mouth_cavity": "-", "left_eye": "skin", "right_eye": "skin"}
CELEBAMASK = {label: label for label in LIPS} | dict.fromkeys(INSIDE, "mouth")
CELEBAMASK |= {"left_eye": "skin", "right_eye": "skin"}
#: Number of values of each map, and how the model's labels are compared by it.
EXPECTED = {
    "ava-256": (11, CLASSES_BY_PARTS),
    "goliath": (34, CLASSES_BY_PARTS),
    "sapiens-28": (28, CLASSES_BY_PARTS),
    "sapiens2-29": (29, CLASSES_BY_PARTS),
    "celebamask": (19, CELEBAMASK),
    "celebamask-dataset": (19, CELEBAMASK),
    "farl": (19, CELEBAMASK),
    "lapa": (11, CELEBAMASK | {"left_eye": "eyes", "right_eye": "eyes"}),
    "mediapipe-multiclass": (6, dict.fromkeys((*LIPS, *INSIDE, "left_eye", "right_eye"), "skin")),
}


def by_name(name: str) -> dict[int, str]:
    return read_labels(JsonValue("masks.labels", name), Path()).by_value


def test_each_map_is_tested() -> None:
    assert {path.stem for path in MAPS.glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_parser_tells_of_the_model(name: str) -> None:
    count, expected = EXPECTED[name]
    labels = by_name(name)
    assert sorted(labels) == list(range(count)) and labels[0] == "background"
    classes = label_classes(MODEL, labels)
    found = dict(zip(MODEL, [(*classes.names, "-")[index] for index in classes.from_model], strict=True))
    assert {label: found[label] for label in expected} == expected
    assert {found[label] for label in ("skin", "brows", "ears", "nose", "neck")} == {"skin"}


def test_the_orders_of_one_set_of_classes_differ() -> None:
    bisenet, dataset, farl = by_name("celebamask"), by_name("celebamask-dataset"), by_name("farl")
    assert sorted(bisenet.values()) == sorted(dataset.values()) == sorted(farl.values())
    lips = {"upper_lip": (12, 11, 13), "lower_lip": (13, 12, 12), "inner_mouth": (11, 10, 11), "hair": (17, 13, 14)}
    for label, values in lips.items():
        assert [labels[value] for labels, value in zip((bisenet, dataset, farl), values, strict=True)] == [label] * 3


def test_sapiens2_is_sapiens_with_glasses() -> None:
    one, two = by_name("sapiens-28"), by_name("sapiens2-29")
    assert two[2] == "ignore"
    assert [two[value + (value >= 2)] for value in one] == list(one.values())


def test_a_map_of_ones_own_is_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("0: background\n7: skin  # face\n'255': inner-mouth\n")
    labels = read_labels(JsonValue("masks.labels", "mine.yaml"), tmp_path)
    assert labels.by_value == {0: "background", 7: "skin", 255: "inner_mouth"}
    (tmp_path / "colours.yml").write_text('"0,0,0": background\n"255, 128, 0": hair\n')
    colours = read_labels(JsonValue("masks.labels", str(tmp_path / "colours.yml")), Path())
    assert colours.by_color == {(0, 0, 0): "background", (255, 128, 0): "hair"}


def test_what_is_wrong_with_a_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("0: backgruond\n")
    with pytest.raises(
        HeadfitError, match=r"masks\.labels \(mine\.yaml\).*unknown label name 'backgruond'.*background"
    ):
        read_labels(JsonValue("masks.labels", "mine.yaml"), tmp_path)
    with pytest.raises(HeadfitError, match=r"absent\.yaml"):
        read_labels(JsonValue("masks.labels", "absent.yaml"), tmp_path)
    with pytest.raises(HeadfitError, match=r"masks\.labels: .*celebamask"):
        read_labels(JsonValue("masks.labels", "celebmask"), tmp_path)
