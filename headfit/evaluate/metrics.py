"""Image metrics inside a mask, and label overlap over many views."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def psnr(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over the pixels of a mask; infinite for equal images.

    Args:
        image: `[H,W,3]` in [0, 1].
        target: `[H,W,3]` in [0, 1].
        mask: bool `[H,W]` with at least one pixel set.
    """
    error = float(np.mean((image[mask].astype(np.float64) - target[mask]) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """Structural similarity averaged over the pixels of a mask and over the channels.

    Wang, Bovik, Sheikh, Simoncelli 2004, eq. 13: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03. Outside
    of the mask, the image is replaced by the target, so that windows at the mask's border see no difference there.

    Args:
        image: `[H,W,3]` in [0, 1].
        target: `[H,W,3]` in [0, 1].
        mask: bool `[H,W]` with at least one pixel set.
    """
    x = np.where(mask[..., None], image, target).astype(np.float64)
    y = target.astype(np.float64)
    c1, c2 = 0.01**2, 0.03**2

    def window(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, sigma=1.5, radius=5, axes=(0, 1))

    mean_x, mean_y = window(x), window(y)
    var_x, var_y = window(x * x) - mean_x**2, window(y * y) - mean_y**2
    cov = window(x * y) - mean_x * mean_y
    values = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    values /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(values[mask].mean())


class LabelOverlap:
    """Intersection over union per class, with intersections and unions summed over all views before the division.

    Pooling matters for rare classes: the IoU of a single view is noise when a closed mouth shows five pixels of teeth.

    Args:
        names: the classes, in the order of the class ids given to `add`.
        unions: further classes, each the union of some of the names.
    """

    def __init__(self, names: list[str], unions: dict[str, list[str]]) -> None:
        self._members = {name: [names.index(name)] for name in names}
        self._members |= {union: [names.index(name) for name in members] for union, members in unions.items()}
        self._confusion = np.zeros((len(names), len(names)), dtype=np.int64)

    def add(self, predicted: np.ndarray, target: np.ndarray) -> None:
        """Count one view of class ids, both int `[H,W]`; a pixel that is -1 in either is ignored."""
        scored = (predicted >= 0) & (target >= 0)
        classes = len(self._confusion)
        pairs = predicted[scored].astype(np.int64) * classes + target[scored]
        self._confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def iou(self) -> dict[str, float]:
        """IoU in [0, 1] of each class that occurs in a prediction or target."""
        scores = {}
        for name, ids in self._members.items():
            intersection = self._confusion[np.ix_(ids, ids)].sum()
            union = self._confusion[ids].sum() + self._confusion[:, ids].sum() - intersection
            if union > 0:
                scores[name] = float(intersection / union)
        return scores
