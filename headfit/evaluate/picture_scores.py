"""PSNR and SSIM of rendered pictures, for trained and held-out cameras, of the whole head and of the face."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from headfit.evaluate.metrics import ssim
from headfit.types import Bool, Float

#: Model labels that are part of the head but not of the face.
NOT_FACE = ("hair", "ears", "neck")


@dataclass(frozen=True)
class _Sums:
    """Sums over some pixels of a view, per channel `[3]`: render squared, render times image, image squared; count."""

    rr: Float
    ri: Float
    ii: Float
    count: int

    @staticmethod
    def of(render: Float, image: Float) -> _Sums:
        """Of pixels `[N,3]`."""
        return _Sums((render**2).sum(0), (render * image).sum(0), (image**2).sum(0), len(image))

    def psnr(self, gain: Float) -> float:
        """PSNR (dB) of the render times `gain [3]`."""
        error = float((self.ii - 2 * gain * self.ri + gain**2 * self.rr).sum()) / (3 * self.count)
        return float("inf") if error <= 0 else -10 * float(np.log10(error))


class PictureScores:
    """Collects views, and scores them once all of a camera's are there.

    A held-out camera has no colour of its own: nobody fitted one. Its gain, one number for each channel, is therefore
    the least-squares fit of its renders to its images, over the head in all of its views; `psnr_raw_db` is without it.
    """

    def __init__(self) -> None:
        self._views: dict[tuple[str, str], list[tuple[_Sums, _Sums | None, float]]] = defaultdict(list)

    def add(self, kind: str, camera: str, render: Float, image: Float, head: Bool, face: Bool) -> None:
        """Count one view.

        Args:
            kind: "held_out" or "training".
            camera: name of the camera.
            render, image: `[H,W,3]` in [0, 1].
            head: bool `[H,W]` with at least one pixel set: what is compared.
            face: bool `[H,W]`: the part of it that is the face.
        """
        of_face = _Sums.of(render[face], image[face]) if face.any() else None
        self._views[kind, camera].append((_Sums.of(render[head], image[head]), of_face, ssim(render, image, head)))

    def result(self) -> dict[str, dict[str, Any]]:
        """For each kind: `psnr_db`, `psnr_raw_db`, `face_psnr_db`, `ssim` (means over views) and the number of `views`;
        for held-out cameras the fitted `gains` by camera; and the same means for each of its `cameras`."""
        rows: dict[str, dict[str, list[list[float]]]] = defaultdict(dict)
        gains: dict[str, list[float]] = {}
        for (kind, camera), views in self._views.items():
            gain = np.ones(3)
            if kind == "held_out":
                gain = sum(head.ri for head, _, _ in views) / np.maximum(sum(head.rr for head, _, _ in views), 1e-12)
                gains[camera] = gain.round(4).tolist()
            rows[kind][camera] = [
                [head.psnr(gain), head.psnr(np.ones(3)), np.nan if face is None else face.psnr(gain), similarity]
                for head, face, similarity in views
            ]
        result: dict[str, dict[str, Any]] = {}
        for kind, cameras in rows.items():
            result[kind] = _means([row for values in cameras.values() for row in values])
            result[kind]["cameras"] = {camera: _means(values) for camera, values in cameras.items()}
        if gains:
            result["held_out"]["gains"] = gains
        return result


def _means(rows: list[list[float]]) -> dict[str, Any]:
    """The means of the scores of some views; None for a score that none of them has."""
    names = ("psnr_db", "psnr_raw_db", "face_psnr_db", "ssim")
    known = [column[np.isfinite(column)] for column in np.array(rows).T]
    means = [float(column.mean()) if len(column) else None for column in known]
    return dict(zip(names, means, strict=True), views=len(rows))
