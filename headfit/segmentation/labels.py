"""Values of the masks that headfit makes itself, and what masks of any labels say in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headfit.capture.labels import LIP_LABELS, TEETH_LABELS, native_name
from headfit.files import make_folder, replaced_by

#: Masks of `headfit prepare`.
LABELS = {0: "background", 1: "skin", 2: "lips", 3: "inner_mouth", 4: "left_eye", 5: "right_eye", 255: "unknown"}
BACKGROUND, SKIN, LIPS, MOUTH, LEFT_EYE, RIGHT_EYE, UNKNOWN = LABELS
#: Those by a fit: what is inside of the mouth is without teeth; hair, what belongs to the person but not to the head,
#: teeth, and what may be hair or skin, whose colours must not move the skull.
HAIR, CLOTHES, TEETH, IGNORE = 6, 7, 8, 254
LABELS_BY_FIT = LABELS | {MOUTH: "mouth_cavity", HAIR: "hair", CLOTHES: "clothes", TEETH: "teeth", IGNORE: "ignore"}
#: Those where the given masks tell the parts inside of the mouth, which colours hardly do: these stay.
TONGUE, GUMS = 9, 10
LABELS_WITH_INSIDE = LABELS_BY_FIT | {TONGUE: "tongue", GUMS: "gums"}
INSIDE = (MOUTH, TEETH, TONGUE, GUMS)
_KEPT = {"background": BACKGROUND, "hair": HAIR, "clothes": CLOTHES, "ignore": IGNORE, "unknown": UNKNOWN}
_KEPT_INSIDE = {"mouth_cavity": MOUTH, "tongue": TONGUE, "gums": GUMS}
_KEPT_INSIDE |= dict.fromkeys(TEETH_LABELS, TEETH)
_OTHERS = dict.fromkeys(LIP_LABELS, LIPS) | dict.fromkeys(("skin", "brows", "ears", "neck", "nose"), SKIN)
_OTHERS |= {"left_eye": LEFT_EYE, "right_eye": RIGHT_EYE}


def labels_by_fit(given: Mapping[int, str], has_hair: bool = True) -> dict[int, str]:
    """Labels of the masks that a fit makes of masks with the labels `given`; without hair where none was found: a
    head's hair is skin where masks do not name hair."""
    names = LABELS_WITH_INSIDE if _tells_inside(given) else LABELS_BY_FIT
    return {value: name for value, name in names.items() if has_hair or value != HAIR}


def known_parts(mask: NDArray[np.uint8], given: Mapping[int, str]) -> NDArray[np.uint8]:
    """What of a mask `[H,W]` of labels `given` helps to make another one: `BACKGROUND`, `HAIR`, `CLOTHES`, `IGNORE`,
    `UNKNOWN`, parts `INSIDE` of the mouth where it tells them apart, and `SKIN`, which is the rest of the person."""
    names = {value: native_name(name) for value, name in given.items()}
    kept = _KEPT | (_KEPT_INSIDE if _tells_inside(given) else {})
    values = np.full(256, UNKNOWN, dtype=np.uint8)
    for value, name in names.items():
        values[value] = kept.get(name, SKIN)
    return values[mask]


def translated(mask: NDArray[np.uint8], given: Mapping[int, str]) -> NDArray[np.uint8]:
    """A mask `[H,W]` of labels `given` in the values of `labels_by_fit`; what these do not tell is `UNKNOWN`. So is the
    skin of a mask that tells no lips: it is not only skin."""
    names = {value: native_name(name) for value, name in given.items()}
    known = _KEPT | (_KEPT_INSIDE if _tells_inside(given) else {})
    if "mouth_cavity" in names.values() and not set(TEETH_LABELS).isdisjoint(names.values()):
        known |= {"mouth_cavity": MOUTH, **dict.fromkeys(TEETH_LABELS, TEETH)}
    known |= _OTHERS if not set(LIP_LABELS).isdisjoint(names.values()) else {}
    values = np.full(256, UNKNOWN, dtype=np.uint8)
    for value, name in names.items():
        values[value] = known.get(name, UNKNOWN)
    return values[mask]


def _tells_inside(given: Mapping[int, str]) -> bool:
    names = {native_name(name) for name in given.values()}
    return {"tongue", "mouth_cavity"} <= names and bool({"teeth", "upper_teeth"} & names)


def write_mask(file: Path, mask: NDArray[np.uint8]) -> None:
    """Write a mask `[H,W]` as a PNG, making its folder. Others who read it, or write the same, never see a part of
    it."""
    make_folder(file.parent)
    fresh = file.with_name(f"{file.name}.{uuid4().hex}.writing")
    with replaced_by(fresh, file):
        Image.fromarray(mask).save(fresh, format="PNG")
