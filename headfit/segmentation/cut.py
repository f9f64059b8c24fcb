"""Moving the border of a region to where the colours of a picture change: GrabCut (Rother et al. 2004) in a band."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from headfit.types import Bool

ITERATIONS = 3
#: Most pixels that are cut at once: larger ones are cut in a smaller picture.
MAX_PIXELS = 2e6
#: What is thinner than the band is sure at least where it is deeper than this share of its greatest depth.
DEEPEST = 0.6
#: Fewest pixels, at the working size, from which the colours of a side are learned.
MIN_SEEDS = 40


@dataclass(frozen=True)
class Band:
    """How far a border may move and what it is compared with, as shares of the head's extent.

    Attributes:
        extent: pixels of the head's extent at which a picture is cut. GrabCut charges for every pixel of a border, so
            what is a few pixels wide, such as lids, needs an enlarged picture.
        reach: how far the border may move to either side.
        surroundings: how far from the region the colours around it are learned.
        growth: a region whose area changes by more than this factor was not found, whatever its border looks like.
    """

    extent: float
    reach: float
    surroundings: float
    growth: float = 2.0


#: For lips and lids, and for the outline of a person.
FINE, COARSE = Band(900, 0.02, 0.05, growth=3.0), Band(300, 0.017, 0.067)


def cut_border(image: NDArray[np.uint8], region: Bool, within: Bool, extent: float, band: Band) -> Bool | None:
    """The region `[H,W]` with its border where the colours change; None where the picture does not tell.

    Args:
        image: `[H,W,3]` RGB.
        region: `[H,W]`: about right.
        within: `[H,W]`: the pixels it may have, and from which the colours around it are learned.
        extent: the head's extent in pixels.
        band: how far the border may move.
    """
    if not region.any():
        return None
    margin = round(extent * (band.surroundings + band.reach)) + 2
    y, x = np.nonzero(region)
    window = np.s_[max(0, y.min() - margin) : y.max() + margin + 1, max(0, x.min() - margin) : x.max() + margin + 1]
    height, width = region[window].shape
    scale = min(band.extent / extent, (MAX_PIXELS / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    large = cv2.resize(image[window], size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    seeds = _seeds(_resized(region[window], size), _resized(within[window], size), band, extent * scale)
    found = _grab_cut(large.astype(np.uint8), seeds)
    if found is None:
        return None
    result = np.zeros_like(region)
    result[window] = _resized(found, (width, height)) & within[window]
    grown = result.sum() / region.sum()
    return result if 1 / band.growth < grown < band.growth else None


def _seeds(region: Bool, within: Bool, band: Band, extent: float) -> NDArray[np.uint8]:
    """GrabCut's four values, `[H,W]`, in a picture with a head of `extent` pixels; what is beyond the surroundings is
    255."""
    reach = band.reach * extent
    seeds = np.full(region.shape, 255, dtype=np.uint8)
    depth = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 5)
    inner = depth > min(reach, DEEPEST * float(depth.max()))
    apart = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 5)
    seeds[(apart < band.surroundings * extent) & within] = cv2.GC_BGD
    seeds[(apart < reach) & within] = cv2.GC_PR_BGD
    seeds[region & within] = cv2.GC_PR_FGD
    seeds[inner & within] = cv2.GC_FGD
    return seeds


def _grab_cut(image: NDArray[np.uint8], seeds: NDArray[np.uint8]) -> Bool | None:
    """The foreground `[H,W]` of an image with seeds (255: neither side); None with too few of one side."""
    if min((seeds == cv2.GC_FGD).sum(), (seeds == cv2.GC_BGD).sum()) < MIN_SEEDS:
        return None
    used = seeds < 255
    # GrabCut has no value for pixels of neither side: they get the colour and the side of the nearest one that has.
    _, nearest = cv2.distanceTransformWithLabels(
        (~used).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(nearest.max() + 1, dtype=np.int64)
    of_label[nearest[used]] = np.flatnonzero(used)
    place = of_label[nearest]
    sides = seeds.ravel()[place].copy()
    cv2.setRNGSeed(0)  # its colour models start from k-means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    filled = image.reshape(-1, 3)[place]
    no_rectangle = (0, 0, 0, 0)
    cv2.grabCut(np.ascontiguousarray(filled), sides, no_rectangle, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found: Bool = used & np.isin(sides, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found


def _resized(region: Bool, size: tuple[int, int]) -> Bool:
    """A region at another size (width, height): what covers half a pixel and more."""
    smooth = cv2.INTER_AREA if size[0] < region.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(region.astype(np.float32), size, interpolation=smooth) >= 0.5)
