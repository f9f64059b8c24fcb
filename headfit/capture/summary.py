"""What a fit remembers of its capture: everything but the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.camera import Camera, index_of_camera
from headfit.capture.manifest import camera_entry, read_camera
from headfit.capture.source import CaptureSource
from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError, some_of


@dataclass(frozen=True)
class CaptureSummary:
    """Names, cameras and labels of a capture, in its order; see `CaptureSource`.

    The cameras are in the fit's local frame; `world` says where that is in the capture's world. dense_landmarks:
    whether it has some. made_masks: whether the labels are those of masks that the fit made itself. (Runs of versions
    before 0.2 do not say.)
    """

    name: str
    frames: list[str]
    fps: float
    cameras: list[Camera]
    label_names: dict[int, str]
    world: WorldFrame
    dense_landmarks: bool = False
    made_masks: bool = False

    @classmethod
    def of(cls, capture: CaptureSource, world: WorldFrame | None = None) -> CaptureSummary:
        """The summary of a capture whose cameras are in the local frame `world` already (default: the world itself)."""
        world = world or WorldFrame.identity()
        names, labels = list(capture.frames), dict(capture.label_names)
        cameras, dense = list(capture.cameras), capture.has_dense_landmarks
        return cls(capture.name, names, capture.fps, cameras, labels, world, dense)

    def camera_index(self, camera_id: str) -> int:
        """The index of a camera. Raises HeadfitError listing the cameras when none has that id."""
        return index_of_camera(self.cameras, camera_id, self.name)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        cameras = [camera_entry(camera) for camera in self.cameras]
        return {**vars(self), "cameras": cameras, "world": self.world.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CaptureSummary:
        """The inverse of `to_dict`."""
        cameras = [read_camera(camera) for camera in values["cameras"]]
        return cls(**{**values, "cameras": cameras, "world": WorldFrame.from_dict(values["world"])})

    def recalibrated(self, other: CaptureSummary) -> list[str]:
        """The ids of the cameras whose picture size, intrinsics, pose or lens is another one in `other`; both captures
        are in one frame."""
        known = {camera.id: camera for camera in self.cameras}
        return [c.id for c in other.cameras if c.id in known and not _same_calibration(known[c.id], c)]

    def require_same_sizes(self, cameras: Sequence[Camera], run: Path) -> None:
        """Raise HeadfitError where the pictures of one of `cameras` have another size than when `run` was fitted."""
        sizes = {camera.id: camera.size for camera in self.cameras}
        for camera in cameras:
            width, height = sizes.get(camera.id, camera.size)
            if (width, height) != camera.size:
                raise HeadfitError(
                    f"{run}: was fitted to pictures of {width}x{height} of camera {camera.id}, which now has "
                    f"{camera.width}x{camera.height}; fit it again"
                )

    def differences(self, other: CaptureSummary) -> list[str]:
        """What `other` lacks or has in addition, one sentence each; empty when frames and camera ids are the same."""
        found = []
        for what, mine, theirs in (
            ("frames", self.frames, other.frames),
            ("cameras", [c.id for c in self.cameras], [c.id for c in other.cameras]),
        ):
            missing, new = [n for n in mine if n not in theirs], [n for n in theirs if n not in mine]
            for names, kind in ((missing, "are missing"), (new, "are new")):
                if names:
                    found.append(f"{what} {some_of(names)} {kind}")
            if not missing and not new and mine != theirs:
                found.append(f"the {what} are in another order")
        return found


def _same_calibration(one: Camera, other: Camera) -> bool:
    """Up to the rounding of a change of frame."""
    matrices = ("K", "R", "t")

    def rest(camera: Camera) -> dict[str, Any]:
        return {name: value for name, value in camera_entry(camera).items() if name not in matrices}

    close = (np.allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9) for name in matrices)
    return all(close) and rest(one) == rest(other)
