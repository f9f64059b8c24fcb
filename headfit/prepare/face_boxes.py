"""Finding faces: MediaPipe's two detectors (Bazarevsky et al., BlazeFace, 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headfit.prepare.crops import Crop
from headfit.prepare.network import Network
from headfit.types import Float

#: Least score of a face.
MIN_SCORE = 0.5
#: Side of the landmark window relative to that of the detector's box.
WINDOW = 1.5


class FaceDetector(NamedTuple):
    """A detector: its network, the side of its input (pixels), and its anchors `[A,2]` in [0, 1]."""

    network: Network
    side: int
    anchors: Float

    def find(self, image: NDArray[np.uint8]) -> tuple[float, Crop] | None:
        """The score of the best face and the window in which its landmarks are looked for, upright; or None."""
        height, width = image.shape[:2]
        whole = Crop(width / 2, height / 2, max(width, height))
        pixels = whole.cut(image, self.side).astype(np.float32) / 127.5 - 1
        raw, logits = self.network(pixels)
        scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        if scores.max() < MIN_SCORE:
            return None
        # Like MediaPipe, average the boxes that overlap the best one, by their scores.
        values = raw.reshape(len(scores), 8, 2).astype(np.float64) / self.side
        values[:, [0, *range(2, 8)]] += self.anchors[:, None]  # centre and six key points; row 1 is the size
        best = values[scores.argmax()]
        near = (np.abs(values[:, 0] - best[0]) < 0.3 * best[1]).all(axis=1) & (scores >= MIN_SCORE)
        mean = np.average(values[near], axis=0, weights=scores[near])
        centre, right_eye, left_eye = whole.to_picture(mean[[0, 2, 3]])
        angle = float(np.arctan2(*(left_eye - right_eye)[::-1]))
        return float(scores.max()), Crop(
            float(centre[0]), float(centre[1]), float(mean[1].max() * whole.size * WINDOW), angle
        )


def short_range_anchors() -> Float:
    """Anchors `[896,2]`: two in each cell of a 16x16 grid, six in each of an 8x8 grid."""
    return np.concatenate([_grid(16, 2), _grid(8, 6)])


def full_range_anchors() -> Float:
    """Anchors `[2304,2]`: one in each cell of a 48x48 grid."""
    return _grid(48, 1)


def _grid(cells: int, each: int) -> Float:
    y, x = np.mgrid[:cells, :cells]
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5, each, axis=0) / cells
