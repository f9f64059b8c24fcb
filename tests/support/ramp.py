"""A capture whose pictures tell where their pixels come from, for the formats of splat trainers."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from headfit.capture import Camera, CaptureSource
from headfit.capture.lenses import make_lens
from headfit.export import Take, write_take

LENS = make_lens("opencv", [-1.2, 0.3, 0.004, -0.002])


class Ramp(CaptureSource):
    """Pictures whose red and green are half the column and a third of the row; hair in the middle of the masks. The
    second camera has no picture of the first frame."""

    def __init__(self, take: Take, cameras: list) -> None:
        self.frames, self.cameras = take.frames[:2], cameras
        self.name, self.location, self.label_names = "ramp", "ramp", {0: "background", 7: "hair"}
        y, x = np.mgrid[:600, :400] + 0.5
        self.ramp = np.stack([x / 2, y / 3, 0 * x], axis=-1).astype(np.uint8)

    def image(self, camera: int, frame: int):
        return None if (camera, frame) == (1, 0) else self.ramp

    def mask(self, camera: int, frame: int):
        mask = np.zeros((600, 400), np.uint8)
        mask[260:340, 160:240] = 7
        return mask


def ramp_cameras(take: Take) -> list[Camera]:
    """The take's two cameras, the first with a lens."""
    first, second = take.cameras()
    return [replace(first, lens=LENS), second]


def export_ramp(take: Take, cameras: list[Camera], out: Path, formats: list[str]) -> list[str]:
    """Write three frames of the take, of which the capture has two; the notes."""
    source = Ramp(take, cameras)
    short = replace(take, frames=take.frames[:3], open_capture=lambda: source, notes=[])
    seen = SimpleNamespace(**vars(short), cameras=lambda: cameras, coordinates="")
    write_take(seen, out, formats)
    return short.notes
