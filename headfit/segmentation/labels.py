"""Values of the masks that headfit makes itself, and what masks of any labels say in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headfit.capture.labels import native_name
from headfit.files import failures_named, make_folder

#: Masks of `headfit prepare`.
LABELS = {0: "background", 1: "skin", 2: "lips", 3: "inner_mouth", 4: "left_eye", 5: "right_eye", 255: "unknown"}
BACKGROUND, SKIN, LIPS, MOUTH, LEFT_EYE, RIGHT_EYE, UNKNOWN = LABELS
#: Those by a fit: what is inside of the mouth is without teeth; hair, what belongs to the person but not to the head,
#: teeth, and what may be hair or skin, whose colours must not move the skull.
HAIR, CLOTHES, TEETH, IGNORE = 6, 7, 8, 254
LABELS_BY_FIT = LABELS | {MOUTH: "mouth_cavity", HAIR: "hair", CLOTHES: "clothes", TEETH: "teeth", IGNORE: "ignore"}


def person_of(mask: NDArray[np.uint8], label_names: Mapping[int, str]) -> NDArray[np.uint8]:
    """What a mask `[H,W]` of labels `label_names` tells of a person as a whole: `BACKGROUND`, `UNKNOWN`, or a part of
    the person as `SKIN`."""
    as_person = {"background": BACKGROUND, "ignore": UNKNOWN, "unknown": UNKNOWN}
    values = np.full(256, UNKNOWN, dtype=np.uint8)
    for value, name in label_names.items():
        values[value] = as_person.get(native_name(name), SKIN)
    return values[mask]


def write_mask(file: Path, mask: NDArray[np.uint8]) -> None:
    """Write a mask `[H,W]` as a PNG, making its folder."""
    make_folder(file.parent)
    with failures_named(file):
        Image.fromarray(mask).save(file)
