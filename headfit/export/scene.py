"""What the formats for splat trainers write from: pictures and masks of pinhole cameras, and initial points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from headfit.capture import CaptureSource
from headfit.errors import HeadfitError, some_of
from headfit.export.scene_pictures import SceneCamera
from headfit.export.take import MeshSequence, Take
from headfit.files import make_folder
from headfit.types import Float


class SceneView(NamedTuple):
    """A picture of a scene: the number of its camera, the camera, RGB `[H,W,3]` uint8, and the mask `[H,W]` uint8 (255:
    foreground) or None."""

    number: int
    camera: SceneCamera
    image: np.ndarray
    mask: np.ndarray | None


@dataclass(frozen=True)
class Scene:
    """A take with the pictures of its capture.

    take: the fitted take. source: the capture. cameras: those of the take, as pinholes. colours: `[N,3]` uint8, of the
    vertices of all meshes.
    """

    take: Take
    source: CaptureSource
    cameras: list[SceneCamera]
    colours: np.ndarray

    @classmethod
    def of(cls, take: Take, name: str, centred: bool = False) -> Scene:
        """The scene of a take, which notes frames that the capture lacks.

        Args:
            take: the fitted take.
            name: of the format, for the error.
            centred: see SceneCamera.

        Raises:
            HeadfitError: the take has no capture.
        """
        if take.open_capture is None:
            raise HeadfitError(f"the format {name} needs the pictures of the capture: name it by --capture")
        source = take.open_capture()
        missing = [frame for frame in take.frames if frame not in source.frames]
        note = f"the capture has no frames {some_of(missing)}: not in the scene"
        if missing and note not in take.notes:
            take.notes.append(note)
        cameras = [SceneCamera(source, source.camera_index(c.id), c, centred) for c in take.cameras()]
        return cls(take, source, cameras, np.concatenate([_vertex_colours(mesh) for mesh in take.meshes]))

    def has(self, frame: int) -> bool:
        """Whether the capture has a frame of the take."""
        return self.take.frames[frame] in self.source.frames

    def views(self, frame: int) -> Iterator[SceneView]:
        """The pictures of a frame of the take that can be read."""
        index = self.source.frames.index(self.take.frames[frame])
        for number, camera in enumerate(self.cameras):
            image = camera.image(index)
            if image is not None:
                yield SceneView(number, camera, image, camera.foreground(index))

    def points(self, surfaces: Sequence[tuple[Float, Float]]) -> Float:
        """The vertices `[N,3]` of all meshes (metres, without the take's origin), which have `colours`."""
        return np.concatenate([vertices - self.take.origin for vertices, _ in surfaces])


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write RGB `[H,W,3]` or a mask `[H,W]`, uint8, to a file whose folder is made."""
    make_folder(path.parent)
    Image.fromarray(picture).save(path)


def _vertex_colours(mesh: MeshSequence) -> np.ndarray:
    """The texture's colour `[V,3]` uint8 at each vertex, at one of its UVs; grey for a vertex without faces."""
    of_vertex, uvs, _ = mesh.topology.split_at_seams()
    height, width, _ = mesh.texture.shape
    column, row = (uvs * [width, -height] + [0, height]).astype(int).T
    colours = np.full((mesh.vertex_count, 3), 128, np.uint8)
    colours[of_vertex] = mesh.texture[row.clip(0, height - 1), column.clip(0, width - 1)]
    return colours
