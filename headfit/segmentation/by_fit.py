"""Masks of a capture by the head that was fitted to it: its labels say about where each part is, the picture's colours
where exactly it ends.

A detector's contours are some pixels off alike in all pictures, and so is a fit to them. The colours know better. What
they do not tell, such as where the tongue ends, is not told apart or stays `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.capture.labels import EYE_LABELS, LIP_LABELS, TEETH_LABELS
from headfit.segmentation.cut import COARSE, FINE, MIN_SEEDS, Band, cut_border
from headfit.segmentation.labels import (
    BACKGROUND,
    CLOTHES,
    HAIR,
    IGNORE,
    INSIDE,
    LEFT_EYE,
    LIPS,
    MOUTH,
    RIGHT_EYE,
    SKIN,
    TEETH,
    UNKNOWN,
)
from headfit.segmentation.teeth import find_teeth
from headfit.types import Bool

#: Labels of the head model that each part of a mask consists of.
INNER_LABELS = (*TEETH_LABELS, "gums", "tongue", "mouth_cavity", "inner_mouth")
#: Labels around which there is no hair, and how far from them, as a share of the head's extent; brows are no hair.
HAIRLESS, HAIRLESS_REACH = (*INNER_LABELS, *LIP_LABELS, *EYE_LABELS, "brows", "nose"), 0.06
#: How far from the head model's own hair there may be hair, and how far its border may be from that.
HAIR_BAND = Band(200, 0.12, 0.3, growth=5.0)
#: Least difference of the median colours of hair and skin, in units of CIELAB.
MIN_CONTRAST = 12.0
#: A head of a smaller extent in pixels is not looked at.
MIN_EXTENT = 30.0
#: How far beyond the fitted head the person is still skin, as a share of the head's extent.
BESIDE = 0.04
#: How far around lips and eyes skin is told where no mask tells anything: as far as their borders are looked for.
FACE_REACH = FINE.reach + FINE.surroundings
#: A part whose border was not found is unknown as far as this around it, as a share of the head's extent.
DOUBT = 0.02


@dataclass(frozen=True)
class Shown:
    """What a picture shows by a fitted head.

    label `[H,W]`: index into `names`, -1 beside the head and below its neck; extent: of the head, pixels.
    """

    label: NDArray[np.int16]
    names: Sequence[str]

    @property
    def head(self) -> Bool:
        """Bool `[H,W]`: the head above the neck's cut."""
        return self.label >= 0

    @property
    def extent(self) -> float:
        """The root of the head's area, pixels."""
        return float(np.sqrt(self.head.sum()))

    def of(self, *names: str) -> Bool:
        """Bool `[H,W]`: a label of one of these names."""
        return np.isin(self.label, [index for index, name in enumerate(self.names) if name in names])


def segmented(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], shown: Shown, cut_outline: bool = True
) -> NDArray[np.uint8]:
    """A mask `[H,W]` of values of `LABELS_WITH_INSIDE`.

    Args:
        image: `[H,W,3]` RGB.
        mask: `[H,W]` in the same values: what is known so far, see `labels.known_parts`. Its background, its clothes,
            what it ignores and the inside of its mouth stay; so does its hair where the head model has none.
        shown: the fitted head in the picture.
        cut_outline: whether the person and the hair end where the colours say; else where the mask does, which is
            enough for a head whose shape is known, and takes half the time.
    """
    result = np.where(mask == BACKGROUND, BACKGROUND, UNKNOWN).astype(np.uint8)
    if shown.extent < MIN_EXTENT:
        return result
    ignored = mask == IGNORE
    mask = np.where(ignored, UNKNOWN, mask)
    told = _told(mask, shown)
    person = _person(image, mask, shown, told) if cut_outline else None
    if person is not None:
        result[told & ~person] = BACKGROUND
        result[person] = CLOTHES
    may_be_head = result != BACKGROUND
    if "hair" in shown.names and cut_outline:
        hair = _hair(image, may_be_head, shown)
    else:
        hair = mask == HAIR if (mask == HAIR).any() or "hair" not in shown.names else None
    ends_at_background = person is not None or (not cut_outline and not may_be_head.all())
    head = _apart(shown.head) < BESIDE * shown.extent if ends_at_background else shown.head
    result[head & may_be_head & (mask != CLOTHES)] = SKIN
    if hair is None:
        result[shown.of("hair") & may_be_head] = IGNORE
    else:
        result[hair] = HAIR
    _paint_mouth_and_eyes(image, result, shown, mask)
    result[ignored] = IGNORE
    return result


def segmented_face(image: NDArray[np.uint8], shown: Shown) -> NDArray[np.uint8]:
    """A mask `[H,W]` of lips, eyes, the inside of the mouth and the skin around them, for a picture of which no mask
    tells anything; the rest is unknown. So is what is next to the head's outline, which nothing has shown so far.

    Args: as of `segmented`.
    """
    result = np.full(shown.label.shape, UNKNOWN, dtype=np.uint8)
    if shown.extent < MIN_EXTENT:
        return result
    near = _apart(shown.of(*INNER_LABELS, *LIP_LABELS, *EYE_LABELS)) < FACE_REACH * shown.extent
    inside = _apart(~shown.head) > DOUBT * shown.extent
    result[near & inside] = SKIN
    _paint_mouth_and_eyes(image, result, shown, np.full_like(result, UNKNOWN))
    return result


def _paint_mouth_and_eyes(
    image: NDArray[np.uint8], result: NDArray[np.uint8], shown: Shown, mask: NDArray[np.uint8]
) -> None:
    """Fill lips, eyes and what shows between the lips, within the skin of `result [H,W]`; `mask [H,W]`: what is
    known."""
    skin = result == SKIN
    mouth = _paint(image, result, shown, shown.of(*LIP_LABELS, *INNER_LABELS), skin, LIPS)
    if mouth is not None:
        _paint_inside(image, result, shown, mask, mouth)
    _paint(image, result, shown, shown.of("left_eye"), skin, LEFT_EYE)
    _paint(image, result, shown, shown.of("right_eye"), skin, RIGHT_EYE)
    # A head model that does not tell the two eyes apart shows no part that these masks have.
    result[skin & (_apart(shown.of("eyes")) < DOUBT * shown.extent)] = UNKNOWN


def _told(mask: NDArray[np.uint8], shown: Shown) -> Bool:
    """Bool `[H,W]`: the pixel is known to be person or background, or is between such pixels near each other, as those
    around the border that a segmentation leaves unknown; not the inside of an unknown region."""
    near = COARSE.surroundings * shown.extent
    known = (mask != UNKNOWN) | shown.head
    return known | ((_apart(mask == BACKGROUND) < near) & (_apart(known & (mask != BACKGROUND)) < near))


def _person(image: NDArray[np.uint8], mask: NDArray[np.uint8], shown: Shown, told: Bool) -> Bool | None:
    """The person `[H,W]` among the pixels that are `told`, by the colours beside them; None where nothing tells of a
    background."""
    if not (mask == BACKGROUND).any():
        return None
    known = (mask != BACKGROUND) & ((mask != UNKNOWN) | shown.head)
    nearer = told & (_apart(known) < _apart(mask == BACKGROUND))
    return cut_border(image, known | nearer, told, shown.extent, COARSE)


def _hair(image: NDArray[np.uint8], person: Bool, shown: Shown) -> Bool | None:
    """The hair `[H,W]` on and around the scalp of a person, none where its colours are those of the skin; None where
    the picture does not tell."""
    scalp = shown.of("hair")
    from_scalp, from_face = _apart(scalp), _apart(shown.head & ~scalp)
    near = ~shown.head & (from_scalp < from_face) & (from_scalp < HAIR_BAND.reach * shown.extent)
    within = person & (_apart(shown.of(*HAIRLESS)) > HAIRLESS_REACH * shown.extent)
    hair = cut_border(image, (scalp | near) & within, within, shown.extent, HAIR_BAND)
    skin = shown.head & within
    if hair is None or (skin & ~hair).sum() < MIN_SEEDS:
        return None
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    contrast = np.linalg.norm(np.median(lab[hair], axis=0) - np.median(lab[skin & ~hair], axis=0))
    return hair if contrast > MIN_CONTRAST else np.zeros_like(hair)


def _paint_inside(
    image: NDArray[np.uint8], result: NDArray[np.uint8], shown: Shown, mask: NDArray[np.uint8], mouth: Bool
) -> None:
    """Fill what shows between the lips of a mouth `[H,W]`: as the mask says where it tells, else by the colours."""
    inside = _paint(image, result, shown, shown.of(*INNER_LABELS) & mouth, mouth, MOUTH)
    if inside is None:
        return
    given = np.isin(mask, INSIDE)
    if given.any():
        result[inside] = np.where(given, mask, UNKNOWN)[inside]
    else:
        # The fitted head does not say: it may show too few teeth so far, or none.
        teeth, doubtful = find_teeth(image, mouth & ~inside, inside, shown.extent)
        result[teeth], result[doubtful] = TEETH, UNKNOWN


def _paint(
    image: NDArray[np.uint8], result: NDArray[np.uint8], shown: Shown, part: Bool, within: Bool, value: int
) -> Bool | None:
    """Fill a part with a value, as far as the colours say; where they do not, its surroundings are unknown."""
    if not part.any():
        return None
    found = cut_border(image, part, within, shown.extent, FINE)
    if found is None:
        result[(_apart(part) < DOUBT * shown.extent) & within] = UNKNOWN
    else:
        result[found] = value
    return found


def _apart(region: Bool) -> NDArray[np.float32]:
    """Distance `[H,W]` in pixels to a region; infinite without one."""
    if not region.any():
        return np.full(region.shape, np.inf, dtype=np.float32)
    return np.asarray(cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 5), dtype=np.float32)
