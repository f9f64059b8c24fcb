"""Label names, and the classes on which a mask and a rendered label image are compared.

They are compared at the finest level that the capture and the head model both know. Each native label has
a chain of classes from fine to coarse, and becomes the first class of its chain that BOTH sides know:

    native label                    chain of classes
    background                      background
    skin, brows, ears,              skin            (the borders between these are painted on our model's skin and not
      neck, nose                                     anatomical, so they must not pull on the shape)
    hair                            hair            (a surface of its own above the skin: the hair layer; where only the
                                                     capture knows it it is ignored, where only the model does, skin)
    upper_lip, lower_lip            itself, lips, skin
    lips                            lips, skin
    upper_teeth, lower_teeth        itself, teeth, mouth, lips, skin
    teeth                           teeth, mouth, lips, skin
    tongue                          tongue, mouth, lips, skin
    gums, mouth_cavity, inner_mouth mouth, lips, skin
    left_eye, right_eye             itself, eyes, skin
    eyes                            eyes, skin
    clothes, ignore                 ignored (-1): no mask loss, and colours only go into the texture there
    unknown                         ignored (-1) as well, but colours are compared as without a mask, in a matte's
                                                     foreground for example

A side knows `lips` when it names `lips`, or both `upper_lip` and `lower_lip`; it distinguishes these two when
it names both and does not also name `lips`. The same holds for teeth and for eyes, but one eye alone is known as well.
Where both sides distinguish the two, there is no class for the union, and what could be either is ignored: the inside
of the mouth, where masks have two lips and no inside. So is the rest of the inside where they have teeth or a tongue,
but no inside. A side knows `mouth` when it names `mouth_cavity` or `inner_mouth`, and `tongue` and `hair` when it names
them; but `inner_mouth` is all that shows between the lips, so a side that names it does not distinguish teeth and
tongue. Left and right are the subject's.

Labels with the same class have no border in the loss. Where the model shows a label that is ignored, neither have its
borders with others (`FittedHead.observe`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headfit.errors import HeadfitError
from headfit.types import Bool, Int

LABELS = (
    "background",
    "skin",
    "hair",
    "upper_lip",
    "lower_lip",
    "lips",
    "upper_teeth",
    "lower_teeth",
    "teeth",
    "gums",
    "tongue",
    "mouth_cavity",
    "inner_mouth",
    "left_eye",
    "right_eye",
    "eyes",
    "brows",
    "ears",
    "neck",
    "nose",
    "clothes",
    "ignore",
    "unknown",
)

ALIASES = {
    "scalp_hair": "hair",
    "face": "skin",
    "left_eyeball": "left_eye",
    "right_eyeball": "right_eye",
    "eyebrows": "brows",
    "left_brow": "brows",
    "right_brow": "brows",
    "left_ear": "ears",
    "right_ear": "ears",
    "cloth": "clothes",
    "clothing": "clothes",
    "unlabeled": "ignore",
    "unlabelled": "ignore",
    "void": "ignore",
}

UNIONS = {
    "lips": ("upper_lip", "lower_lip"),
    "teeth": ("upper_teeth", "lower_teeth"),
    "eyes": ("left_eye", "right_eye"),
}
#: Labels of parts by all their names.
LIP_LABELS, TEETH_LABELS, EYE_LABELS = ((union, *members) for union, members in UNIONS.items())
#: Classes between the lips.
MOUTH_CLASSES = ("mouth", *TEETH_LABELS, "tongue")
#: Classes within `inner_mouth`.
_INSIDE = {"teeth", "upper_teeth", "lower_teeth", "tongue"}

IGNORED = -1

_MOUTH = ("mouth", "lips", "skin")
_CHAINS: dict[str, tuple[str, ...]] = {
    "background": ("background",),
    **dict.fromkeys(("skin", "brows", "ears", "neck", "nose"), ("skin",)),
    "upper_lip": ("upper_lip", "lips", "skin"),
    "lower_lip": ("lower_lip", "lips", "skin"),
    "lips": ("lips", "skin"),
    "upper_teeth": ("upper_teeth", "teeth", *_MOUTH),
    "lower_teeth": ("lower_teeth", "teeth", *_MOUTH),
    "teeth": ("teeth", *_MOUTH),
    "tongue": ("tongue", *_MOUTH),
    "gums": _MOUTH,
    "mouth_cavity": _MOUTH,
    "inner_mouth": _MOUTH,
    "left_eye": ("left_eye", "eyes", "skin"),
    "right_eye": ("right_eye", "eyes", "skin"),
    "eyes": ("eyes", "skin"),
    "hair": ("hair",),
}
_CLASSES = tuple(dict.fromkeys(name for chain in _CHAINS.values() for name in chain))


@dataclass(frozen=True, eq=False)
class LabelClasses:
    """The classes on which masks are compared.

    Attributes:
        names: class names; class 0 is the background.
        from_model: `[L]` int64, the class of each of the model's L labels, -1 where ignored.
        from_capture: `[256]` int64, the class of each mask value, -1 where ignored or unused.
        unknown: bool `[256]`, the mask values that are called "unknown".
    """

    names: tuple[str, ...]
    from_model: Int
    from_capture: Int
    unknown: Bool

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def ignores_some_of_the_model(self) -> bool:
        """Whether some label of the model is compared with nothing."""
        return bool((self.from_model < 0).any())


def native_name(name: str) -> str:
    """The native name of a label or of one of its `ALIASES`; case, and blanks or dashes for underscores, do not matter.

    Raises HeadfitError with the known names and the nearest guess when the name is unknown.
    """
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    key = ALIASES.get(key, key)
    if key in LABELS:
        return key
    guess = difflib.get_close_matches(key, (*LABELS, *ALIASES), n=1, cutoff=0.5)
    hint = f" Did you mean {guess[0]!r}?" if guess else ""
    raise HeadfitError(
        f"unknown label name {name!r}.{hint} Known names: {', '.join(LABELS)}. "
        "Call a class that should carry no loss 'ignore'."
    )


def label_classes(model_labels: Sequence[str], capture_labels: Mapping[int, str]) -> LabelClasses:
    """The finest classes that both sides know, by the table at the top of this file.

    Args:
        model_labels: the model's label names, in its order.
        capture_labels: label name of each mask value (0 to 255).

    Raises:
        HeadfitError: a name is unknown.
    """
    model = [native_name(name) for name in model_labels]
    capture = {value: native_name(name) for value, name in capture_labels.items()}
    shared = _known_classes(model) & _known_classes(capture.values())
    shared -= {union for union, members in UNIONS.items() if shared.issuperset(members)}
    names = tuple(name for name in _CLASSES if name in shared)
    from_capture = np.full(256, IGNORED, dtype=np.int64)
    unknown = np.zeros(256, dtype=bool)
    for value, label in capture.items():
        from_capture[value] = _class_of(label, names)
        unknown[value] = label == "unknown"
    # Hair that masks do not know is painted on the model's skin.
    painted = ["skin" if label == "hair" and "hair" not in names else label for label in model]
    from_model = np.array([_class_of(label, names) for label in painted], dtype=np.int64)
    return LabelClasses(names, from_model, from_capture, unknown)


def _known_classes(labels: Collection[str]) -> set[str]:
    known = {"background", "skin"} | ({"tongue", "left_eye", "right_eye", "hair"} & set(labels))
    if "eyes" in labels:
        known -= set(UNIONS["eyes"])
    if "mouth_cavity" in labels or "inner_mouth" in labels:
        known.add("mouth")
    for union, members in UNIONS.items():
        has_members = all(member in labels for member in members)
        if union in labels or has_members:
            known.add(union)
        if has_members and union not in labels:
            known.update(members)
    return known - _INSIDE if "inner_mouth" in labels else known


def _class_of(label: str, names: tuple[str, ...]) -> int:
    for name in _CHAINS.get(label, ()):
        if name in names:
            return names.index(name)
        if name in UNIONS and set(UNIONS[name]) <= set(names):
            return IGNORED  # one of the two, but which cannot be told
        if name == "mouth" and not _INSIDE.isdisjoint(names):
            return IGNORED  # the lips do not cover the whole inside, since a part of it has a class
    return IGNORED
