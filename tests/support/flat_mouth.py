"""A capture of one view: lips around an inner mouth whose upper half is white and whose lower half is dark red."""

from types import SimpleNamespace

import numpy as np

from headfit.capture.decode import DamagedFile


class FlatMouth:
    """What `CaptureSource` says of masks and pictures; `lip`, `teeth` and `cavity` are windows that show one part."""

    cameras, frames = (SimpleNamespace(id="cam00"),), ("000000",)
    lip, teeth, cavity = np.s_[15:25, 10:70], np.s_[25:30, 21:59], np.s_[30:35, 21:59]

    def __init__(self, damaged: bool = False) -> None:
        self.label_names = {0: "background", 1: "skin", 2: "upper lip", 3: "lower lip", 7: "inner_mouth"}
        self._damaged = damaged

    def has_mask(self, camera: int, frame: int) -> bool:
        return True

    def mask(self, camera: int, frame: int):
        mask = np.zeros((60, 80), np.uint8)
        mask[5:55, 5:75], mask[15:30, 10:70], mask[30:45, 10:70], mask[25:35, 20:60] = 1, 2, 3, 7
        return mask

    def image(self, camera: int, frame: int):
        if self._damaged:
            raise DamagedFile("cam00/000000.png", "torn")
        image = np.full((60, 80, 3), (200, 150, 120), np.uint8)
        image[15:45, 10:70], image[25:30, 20:60], image[30:35, 20:60] = (180, 70, 70), (230, 225, 205), (60, 20, 25)
        return image
