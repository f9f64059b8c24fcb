"""The fitted head of one frame as coloured surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from headfit.export import MeshTopology
from headfit.fitting.model import FittedHead
from headfit.fitting.pictures import ERROR_RANGE
from headfit.raster import shading
from headfit.view import colours, tone
from headfit.view.colours import Colours
from headfit.view.drawn import HAIR, DrawnSurface
from headfit.view.glb import ColouredSurface, jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the colours of the head can mean.
MODES = ("texture", "plain", "normals", "labels", "error", "distance")
#: The modes that draw a number at each vertex, and from which number on it is brightest: a difference in colour as a
#: share of the range, and metres.
BRIGHTEST = {"error": ERROR_RANGE, "distance": 2e-3}
#: A texture of 8 bits is stored this much darker, and its vertices' colours are brighter: the renderer's colours of
#: bright surfaces are beyond 1.
HEADROOM = 4.0
#: Exponent of the usual display curve: light multiplies display-coded colours, the renderer multiplies linear ones.
GAMMA = 2.2


@dataclass(frozen=True, eq=False)
class Posed:
    """One frame: vertices and unit normals `[V,3]` of the head, vertices `[Vh,3]` of the hair layer (none where it is
    not fitted), in metres, in the fit's local frame."""

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    hair: NDArray[np.float32]


class HeadPainter:
    """Makes coloured surfaces of a fitted head's frames; call `update` when its parameters have changed.

    head: the head as it is drawn. head_faces: its faces `[F,3]` in the model's vertices.
    """

    def __init__(self, model: FittedHead) -> None:
        self.model = model
        self.head = DrawnSurface.of(MeshTopology.of(model.head))
        self.head_faces = self.head.source[self.head.faces]
        centres = np.stack([camera.centre for camera in model.capture.cameras])
        self._from_cameras = centres.mean(axis=0)
        self.update()

    def update(self) -> None:
        """Read what all frames share: textures, and whether there is hair."""
        model = self.model
        self.hair = DrawnSurface.of(MeshTopology.of_hair(model)) if model.shows_hair else None
        self._textures = {"head": _stored(model.texture_image()), HAIR: _stored(model.hair_texture_image())}
        self._hair_below = model.hair.vertices.cpu().numpy()

    @property
    def groups(self) -> list[str]:
        """Names of what can be shown and hidden."""
        return [*self.head.groups, *([HAIR] if self.hair is not None and HAIR not in self.head.groups else [])]

    @torch.no_grad()
    def pose(self, frame: int) -> Posed:
        """The head in one frame."""
        v = self.model.vertices(frame)[None]
        normals = self.model.renderer.normals(v)
        hair = self.model.hair.surface(v, normals)[0] if self.hair is not None else v[0, :0]
        return Posed(v[0].cpu().numpy(), normals[0].cpu().numpy(), hair.cpu().numpy())

    def paint(
        self, posed: Posed, mode: str, hidden: frozenset[str] = frozenset(), error: Colours | None = None
    ) -> list[ColouredSurface]:
        """The surfaces of one frame.

        Args:
            posed: the frame.
            mode: one of `MODES`.
            hidden: groups that are not drawn.
            error: for the modes of `BRIGHTEST`, of each vertex `[V]` of the head; default: all unknown.
        """
        of_head = self._surface(self.head, "head", posed.vertices, posed.normals, mode, hidden, error)
        if self.hair is None:
            return [of_head]
        below = posed.normals[self._hair_below]
        of_hair = None if error is None else error[self._hair_below]
        return [of_head, self._surface(self.hair, HAIR, posed.hair, below, mode, hidden, of_hair)]

    def _surface(
        self,
        surface: DrawnSurface,
        name: str,
        vertices: NDArray[np.float32],
        normals: NDArray[np.float32],
        mode: str,
        hidden: frozenset[str],
        error: Colours | None,
    ) -> ColouredSurface:
        positions, normal = vertices[surface.source], normals[surface.source]
        faces = surface.shown_faces(hidden)
        if mode == "texture":
            light = self._lit(normal) if name == "head" else np.ones_like(normal)
            brightness = (HEADROOM * light**GAMMA).astype(np.float32)
            return ColouredSurface(positions, brightness, faces, surface.uvs, self._textures[name])
        light = colours.headlight(normal, self._from_cameras - vertices.mean(axis=0))
        display: Colours
        if mode == "normals":
            display = colours.of_normals(normal)
        elif mode == "labels":
            display = colours.of_labels(surface.label_names)[surface.label] * light
        elif mode in BRIGHTEST:
            known = np.full(len(vertices), np.nan, np.float32) if error is None else error
            display = colours.of_error(known[surface.source], BRIGHTEST[mode]) * light
        else:
            display = np.array(colours.PLAIN, np.float32) * light
        return ColouredSurface(positions, tone.to_renderer(display), faces)

    @torch.no_grad()
    def _lit(self, normals: NDArray[np.float32]) -> Colours:
        """The fitted light on unit normals `[N,3]`, as all cameras share it."""
        return shading(torch.from_numpy(normals), self.model.appearance.light.cpu()).numpy()


def _stored(texture: NDArray[np.uint8]) -> bytes:
    """A display-coded texture as the JPEG file that the renderer, with `HEADROOM`, shows as it is."""
    linear = tone.to_renderer(texture.astype(np.float32) / 255) / HEADROOM
    return jpeg((tone.encoded(linear.clip(0, 1)) * 255).round().astype(np.uint8))
