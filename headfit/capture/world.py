"""The local frame that a fit works in: metres, near the head, so that float32 is exact to a micrometre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.rig import describe_rig
from headfit.types import Float

#: A rig whose focus is nearer to the world's origin than this (metres) keeps the world's own coordinates.
MAX_DISTANCE = 10.0


@dataclass(frozen=True, eq=False)
class WorldFrame:
    """local = scale * (world - origin), with the world in metres as the capture's units say.

    origin: `[3]` float64, 0 unless the rig is far from the world's origin. scale: 1 unless the capture's unit makes the
    head far too small or large. reason: where the scale comes from, in words.
    """

    origin: Float
    scale: float = 1.0
    reason: str = "the capture's units"

    @classmethod
    def identity(cls) -> WorldFrame:
        """The world itself."""
        return cls(np.zeros(3))

    @classmethod
    def around(cls, cameras: Sequence[Camera]) -> WorldFrame:
        """The frame of a rig: shifted to its focus, or to the cameras' mean if it has none, where that is far away."""
        focus = describe_rig(cameras).look_at
        if not np.isfinite(focus).all():
            focus = np.mean([camera.centre for camera in cameras], axis=0)
        return cls(focus.round() if np.linalg.norm(focus) > MAX_DISTANCE else np.zeros(3))

    def __str__(self) -> str:
        """For messages."""
        x, y, z = self.origin
        scale = f"; lengths times {self.scale:.4g} ({self.reason})" if self.scale != 1 else ""
        return f"fitted around ({x:.0f}, {y:.0f}, {z:.0f}) m{scale}; exports are in the capture's own coordinates"

    @property
    def is_identity(self) -> bool:
        """Whether local and world coordinates are the same."""
        return self.scale == 1.0 and not self.origin.any()

    def world_camera(self, camera: Camera) -> Camera:
        """A camera of the local frame in the world, metres: the inverse of `local_camera`."""
        return replace(camera, t=camera.t / self.scale - camera.R @ self.origin)

    def to_local(self, points: Float) -> Float:
        """Local coordinates of world points `[...,3]`."""
        return self.scale * (points - self.origin)

    def to_world(self, points: Float) -> Float:
        """World coordinates `[...,3]` float64 of local points `[...,3]` of any float type."""
        return np.asarray(points, dtype=np.float64) / self.scale + self.origin

    def local_camera(self, camera: Camera) -> Camera:
        """The camera, given in the world, in local coordinates; it sees the same picture."""
        return replace(camera, t=self.scale * (camera.R @ self.origin + camera.t))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {"origin": self.origin.tolist(), "scale": self.scale, "reason": self.reason}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WorldFrame:
        """The inverse of `to_dict`."""
        return cls(np.array(values["origin"], dtype=np.float64), values["scale"], values["reason"])
