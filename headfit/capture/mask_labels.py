"""What the values of a mask mean, by name, and masks of several sources as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headfit.capture.json_value import JsonValue
from headfit.capture.labels import LABELS, native_name
from headfit.files import failures_named, read_yaml

MAPS = Path(__file__).parent / "label_maps"
#: In a mask of `native_labels`: its source knows nothing of this pixel, a next one may.
UNKNOWN = 255
#: Pixels of a matte below this share are background; what the others show, the matte does not know.
MATTE_BACKGROUND = 0.1

NATIVE_VALUES = {label: value for value, label in enumerate(LABELS)}
_VALUES = NATIVE_VALUES | {"unknown": UNKNOWN}


@dataclass(frozen=True)
class Labels:
    """The meaning of a mask's values.

    Attributes:
        by_value: native label of each grey value.
        by_color: the same of each color (R, G, B); a mask has one or the other.
        matte: the mask is the share of the foreground, 0 to 255, which is known only where there is none.
    """

    by_value: dict[int, str]
    by_color: dict[tuple[int, int, int], str]
    matte: bool = False


def read_labels(node: JsonValue, folder: Path) -> Labels:
    """The meaning that capture.json gives: "matte", a label map, or an object {value or "R,G,B": label}.

    A label map is a file of `label_maps` by its name, or a YAML file of one's own by its path relative to `folder`.
    "unknown" leaves a pixel to the next source.
    """
    if node.value == "matte":
        return Labels({}, {}, matte=True)
    if not isinstance(node.value, str):
        return _label_map(node)
    if node.value.endswith((".yaml", ".yml")):
        path = folder / node.value
    else:
        path = MAPS / f"{node.one_of([*sorted(path.stem for path in MAPS.glob('*.yaml')), 'matte'])}.yaml"
    with failures_named(path):
        return _label_map(JsonValue(f"{node.path} ({path.name})", read_yaml(path)))


def _label_map(node: JsonValue) -> Labels:
    values: dict[int, str] = {}
    colors: dict[tuple[int, int, int], str] = {}
    for key, value in node.items():
        numbers = [int(part) if part.strip().isdecimal() else -1 for part in str(key).split(",")]
        if len(numbers) not in (1, 3) or not all(0 <= number <= 255 for number in numbers):
            raise value.error('the key must be a mask value 0 to 255 or a color "R,G,B"')
        with value.naming():
            label = native_name(value.text("a label name"))
        if len(numbers) == 1:
            values[numbers[0]] = label
        else:
            colors[numbers[0], numbers[1], numbers[2]] = label
    if bool(values) == bool(colors):
        raise node.error("expected mask values or colors, and not both")
    return Labels(values, colors)


def native_labels(mask: NDArray[np.uint8], labels: Labels) -> tuple[NDArray[np.uint8], list[object]]:
    """A mask as `NATIVE_VALUES` and `UNKNOWN`, and the values that `labels` does not name.

    Args:
        mask: `[H,W]`, or `[H,W,3]` RGB for labels by color.
        labels: their meaning.
    """
    if labels.matte:
        background = mask < MATTE_BACKGROUND * 255
        return np.where(background, NATIVE_VALUES["background"], UNKNOWN).astype(np.uint8), []
    if labels.by_color:
        weights = np.array([1 << 16, 1 << 8, 1])
        codes, inverse = np.unique(mask.astype(np.int64) @ weights, return_inverse=True)
        named = {int(np.array(color) @ weights): _VALUES[label] for color, label in labels.by_color.items()}
        values = np.array([named.get(int(code), UNKNOWN) for code in codes], np.uint8)
        unnamed = [(int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in codes if int(code) not in named]
        return values[inverse].reshape(mask.shape[:2]), list(unnamed)
    table = np.full(256, UNKNOWN, np.uint8)
    for value, label in labels.by_value.items():
        table[value] = _VALUES[label]
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    return table[mask], [int(value) for value in present if value not in labels.by_value]


def first_that_knows(masks: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """For each pixel the value of the first mask that is not `UNKNOWN` there; the label `unknown` where none knows."""
    result = masks[0].copy()
    for mask in masks[1:]:
        np.copyto(result, mask, where=result == UNKNOWN)
    result[result == UNKNOWN] = NATIVE_VALUES["unknown"]
    return result
