"""Masks that were resized with interpolation, and pictures that show nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from headfit.types import Int

#: Widest rim, pixels, that interpolation draws between two classes.
MAX_RIM = 2
#: Fewest rims, and least share of the borders between two classes that have one, of a blended mask.
MIN_RIMS, MIN_RIM_SHARE = 40, 0.5
#: Labels between which others are truly thin: lips, teeth and gums.
MOUTH = {"skin", "gums", "tongue", "mouth_cavity", "inner_mouth"} | {
    f"{which}{what}" for which in ("", "upper_", "lower_") for what in ("lip", "lips", "teeth")
}
#: Brightness (0 to 255) below which a pixel is black; share of the head that is black, or burnt out in all channels,
#: from which a picture is named.
MAX_BLACK, BURNT_OUT, MAX_LOST_SHARE = 8, 254, 0.6


def blended_classes(mask: NDArray[np.uint8], labels: Mapping[int, str]) -> dict[int, tuple[int, int]]:
    """Classes of a mask `[H,W]` that are thin rims between a lower and a higher class, as interpolation draws them.

    Along rows and columns, the borders of two classes a < b with b - a > 1 are counted: those where they touch, and
    those with at most MAX_RIM pixels of rising values in between. Classes that touch in a face, such as background and
    hair, nearly always have the rim in a blended mask and nearly never in a true one. Labels of the mouth lie between
    each other, and in profile next to the background, in a face too: they are left out.

    Returns:
        By the value of the rim: the two classes between which it lies most often; first those that are little else.
    """
    touching: dict[tuple[int, int], int] = {}
    rims: dict[tuple[int, int], dict[int, int]] = {}
    for lines in (mask, mask.T):
        values = lines.astype(np.int64)
        changes = values[:, 1:] != values[:, :-1]
        first, second = values[:, :-1][changes], values[:, 1:][changes]
        _count(touching, np.minimum(first, second), np.maximum(first, second))
        for width in range(1, MAX_RIM + 1):
            a, inside, b = values[:, : -width - 1], values[:, 1:-width], values[:, width + 1 :]
            within = [values[:, k + 1 : values.shape[1] - width + k] for k in range(width)]
            steps = np.sign(np.diff(np.stack([a, *within, b]), axis=0))
            found = (steps[0] != 0) & (steps == steps[0]).all(axis=0)
            if width > 1:  # one class two pixels wide
                found |= (a != b) & (np.sign(within[0] - a) == np.sign(b - within[-1])) & (within[0] == within[-1])
                found &= within[0] != a
            low, high = np.minimum(a, b)[found], np.maximum(a, b)[found]
            for x, y, value in zip(low.tolist(), high.tolist(), inside[found].tolist(), strict=True):
                by_value = rims.setdefault((x, y), {})
                by_value[value] = by_value.get(value, 0) + 1
    blended: dict[int, tuple[int, int]] = {}
    most: dict[int, int] = {}
    for pair, by_value in rims.items():
        count = sum(by_value.values())
        names = {labels.get(value) for value in (*pair, *by_value)}
        if (
            names <= MOUTH | {"background"}
            or count < MIN_RIMS
            or count < MIN_RIM_SHARE * (count + touching.get(pair, 0))
        ):
            continue
        for value, times in by_value.items():
            if times > most.get(value, MIN_RIMS // 4):
                blended[value], most[value] = pair, times
    area = np.bincount(mask.ravel(), minlength=256)
    return dict(sorted(blended.items(), key=lambda entry: most[entry[0]] / area[entry[0]], reverse=True))


def _count(into: dict[tuple[int, int], int], low: Int, high: Int) -> None:
    pairs, counts = np.unique(256 * low + high, return_counts=True)
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        into[divmod(pair, 256)] = into.get(divmod(pair, 256), 0) + count


def exposure_fault(image: NDArray[np.uint8], head: NDArray[np.bool_] | None) -> str | None:
    """ "nearly black" or "burnt out" where a picture `[H,W,3]` shows nothing of the head, else None.

    Args:
        image: RGB.
        head: where the head is by the mask `[H,W]`; None: unknown, the whole picture is looked at. A studio's black or
            white background is no fault, so without a mask all but the last hundredth must be lost.
    """
    known = head is not None and bool(head.any())
    pixels = image[head] if known else image.reshape(-1, 3)
    allowed = MAX_LOST_SHARE if known else 0.99
    if (pixels.max(axis=1) < MAX_BLACK).mean() > allowed:
        return "nearly black"
    return "burnt out" if (pixels.min(axis=1) >= BURNT_OUT).mean() > allowed else None
