"""What every export format writes from: the meshes of a fitted take, how the head moved, and its cameras."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product
from pathlib import Path

import numpy as np

from headfit.capture import CaptureSource
from headfit.capture.camera import Camera
from headfit.export.motion import HeadMotion
from headfit.export.topology import MeshTopology
from headfit.fitting.model import FittedHead
from headfit.types import Float, Int


@dataclass(frozen=True)
class MeshSequence:
    """One mesh that moves: its name, its topology, its texture `[T,T,3]` uint8 RGB (row 0 is v = 1), and the vertices
    `[V,3]` of frame i in the capture's world (metres, float64), `vertices_of(i)`.

    rows: `[V]` the vertex of the head that carries each of its own; None for the head itself.
    """

    name: str
    topology: MeshTopology
    texture: np.ndarray
    vertices_of: Callable[[int], Float]
    vertex_count: int
    rows: Int | None = None

    def rows_of(self, head_vertices: int) -> Int:
        """`rows`, written out for the head itself, which has `head_vertices`."""
        return np.arange(head_vertices) if self.rows is None else self.rows


@dataclass(frozen=True)
class Take:
    """A fitted take.

    model: what was fitted. meshes: the head, which is always bald, and its hair layer, where the fit has one. frames:
    their names in order. fps: frames a second. origin: `[3]` metres, what formats of 32-bit floats subtract from
    positions; 0 unless the world's origin is so far away that they could not hold them to a tenth of a millimetre.
    open_capture: opens the capture for formats that need its pictures. notes: what formats have to say to the user, one
    sentence each.
    """

    model: FittedHead
    meshes: list[MeshSequence]
    frames: list[str]
    fps: float
    origin: Float
    open_capture: Callable[[], CaptureSource] | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, model: FittedHead, fps: float | None = None, open_capture: Callable[[], CaptureSource] | None = None
    ) -> Take:
        """The take that a fit explains.

        Args:
            model: the fit.
            fps: frames a second; default: those of the capture.
            open_capture: opens the capture; default: formats that need its pictures cannot be written.
        """
        capture = model.capture
        meshes = [
            MeshSequence(
                "head", MeshTopology.of(model.head), model.texture_image(), model.world_vertices,
                model.head.vertex_count,
            )
        ]  # fmt: skip
        if model.shows_hair:
            hair, rows = MeshTopology.of_hair(model), model.hair.vertices.cpu().numpy()
            texture = model.hair_texture_image()
            meshes.append(MeshSequence("hair", hair, texture, model.world_hair_vertices, len(rows), rows))
        return cls(model, meshes, capture.frames, fps or capture.fps, capture.world.origin, open_capture)

    @property
    def coordinates(self) -> str:
        """The coordinates of the vertices in formats that subtract the origin, in words."""
        if not self.origin.any():
            return "metres, world axes of the capture"
        return "metres, world axes of the capture; add ({:.0f}, {:.0f}, {:.0f}) for world coordinates".format(
            *self.origin
        )

    @cached_property
    def motion(self) -> HeadMotion:
        """How the head moved: units, joints and pose."""
        return HeadMotion.of(self.model)

    def upright(self) -> Float:
        """The rotation `[3,3]` by right angles from the capture's axes to Y up, in which the subject looks along z as
        nearly as possible; the identity where the capture is Y up itself."""
        head = self.motion.rotation.mean(0)
        if np.argmax(np.abs(head[:, 1])) == 1 and head[1, 1] > 0:
            return np.eye(3)
        turns = [
            np.eye(3)[list(axes)] * signs for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
        ]
        return max((t for t in turns if np.linalg.det(t) > 0), key=lambda turn: float(np.trace(turn @ head)))

    def cameras(self) -> list[Camera]:
        """The cameras as the fit corrected them, in the capture's world (metres)."""
        return [self.model.capture.world.world_camera(camera) for camera in self.model.corrected_cameras()]


#: Writes one frame: its index, and for each mesh of the take its vertices `[V,3]` (metres, world, float64) and their
#: unit normals `[V,3]`.
FrameWriter = Callable[[int, list[tuple[np.ndarray, np.ndarray]]], None]
#: Prepares a folder and yields the writer of frames, which a format with one file per take finishes at the end; a
#: format that needs no frames writes all it has, and yields None.
FormatWriter = Callable[[Path, Take], AbstractContextManager[FrameWriter | None]]
