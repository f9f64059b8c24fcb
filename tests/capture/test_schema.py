"""capture.schema.json accepts what the parser accepts, and refuses what it refuses."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headfit.capture import manifest
from headfit.capture.manifest import parse_manifest
from headfit.errors import HeadfitError

SCHEMA = json.loads((Path(manifest.__file__).parent / "capture.schema.json").read_text())
SHARED = Path(__file__).parents[3] / "shared" / "captures"
AFFINE = [[1, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 1, 0]]

#: Changes of a field, top-level or of the first camera, that are fine.
GOOD: list[tuple[str, Any]] = [
    ("frames", {"stop": 3}),
    ("frames", {"start": 1, "stop": 100, "step": 3, "width": 6}),
    ("images", "../a/{camera}/{frame:06d}.jpg"),
    ("images", {"path": "v/{camera}.mp4", "offset": -3, "step": 2, "white_level": 4095, "color": [{"gamma": 2.2}]}),
    ("masks", ["m/{camera}.zip/{frame}.png", {"path": "a/{index}.png", "labels": "matte", "rotate": 90}]),
    ("masks", {"path": "m/{frame}.png", "labels": {"3": "hair"}, "rough": True}),
    ("masks", {"path": "m/{frame}.png", "labels": {"0,255,0": "skin"}}),
    ("landmarks", {"path": "l/{camera}/{frame}.json", "scheme": "mediapipe478"}),
    ("cameras.images", "p/{frame}.png"),
    ("cameras.rotate", 270),
    ("cameras.offset", 0.4),
    ("cameras.lens", "opencv"),
    ("cameras.lens", {"model": "opencv", "coefficients": [0.1, 0, 0, 0]}),
    ("cameras.color", [{"black": [0, 0, 0.1]}, {"gain": [1, 2, 1]}, {"affine": AFFINE}]),
    ("cameras.note", "fields of others are allowed"),
]
BAD: list[tuple[str, Any]] = [
    ("fps", 0),
    ("units", "inch"),
    ("frames", []),
    ("frames", ["a", "a"]),
    ("frames", {"start": 3}),
    ("frames", {"stop": 3, "step": 0}),
    ("classes", {"x": "skin"}),
    ("images", {"offset": 3}),
    ("images", {"path": "a", "step": 0}),
    ("images", {"path": "a", "labels": "matte"}),
    ("images", 3),
    ("masks", []),
    ("masks", {"path": "a", "rough": "yes"}),
    ("masks", {"path": "a", "labels": {"1,2": "skin"}}),
    ("landmarks", {"path": "a", "scheme": "wflw"}),
    ("cameras.id", 3),
    ("cameras.width", "640"),
    ("cameras.K", [[1, 0, 0], [0, 1, 0]]),
    ("cameras.t", [0, 0]),
    ("cameras.rotate", 45),
    ("cameras.offset", "1"),
    ("cameras.lens", {"coefficients": []}),
    ("cameras.dist", [[0, 0, 0, 0]]),
    ("cameras.color", [{"gamma": 2, "gain": [1, 1, 1]}]),
    ("cameras.color", [{"gamma": -1}]),
    ("cameras.color", []),
]


@pytest.fixture
def content(write_capture: Callable[..., Path]) -> dict[str, Any]:
    return dict(json.loads((write_capture(frames=1) / "capture.json").read_text()))


def changed(content: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    content = deepcopy(content)
    place = content["cameras"][0] if field.startswith("cameras.") else content
    place[field.removeprefix("cameras.")] = value
    return content


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_both_accept(content: dict[str, Any], tmp_path: Path) -> None:
    for field, value in [("name", "plain"), *GOOD]:
        edited = changed(content, field, value)
        jsonschema.validate(edited, SCHEMA)
        parse_manifest(edited, tmp_path)


@pytest.mark.parametrize(("field", "value"), BAD)
def test_both_refuse(field: str, value: Any, content: dict[str, Any], tmp_path: Path) -> None:
    edited = changed(content, field, value)
    with pytest.raises(HeadfitError):
        parse_manifest(edited, tmp_path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(edited, SCHEMA)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not here")
def test_the_shared_captures_keep_to_it() -> None:
    for path in SHARED.glob("*/capture.json"):
        jsonschema.validate(json.loads(path.read_text()), SCHEMA)
