"""Rendering a head together with its hair layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headfit import raster
from headfit.raster import Topology
from headfit.render.appearance import sample_albedo
from headfit.render.cameras import CameraBatch
from headfit.render.pixels import Pixels
from headfit.render.renderer import Fragments, HeadRenderer

#: Classes of the hair images: background, head, hair.
HAIR_CLASSES = 3


class HairRenderer(nn.Module):
    """Rasterizes heads with a layer of hair above them.

    Args:
        renderer: renders the head itself.
        faces: `[Fh,3]` of the layer, indices into its vertices.
        source_faces: `[Fh]` the head's faces below them, whose texture coordinates they have.
    """

    faces: Tensor
    source_faces: Tensor
    class_of_face: Tensor

    def __init__(self, renderer: HeadRenderer, faces: Tensor, source_faces: Tensor) -> None:
        super().__init__()
        self._head = (renderer,)  # in a tuple: not a submodule, the model has it already
        head, collar = renderer.faces[: renderer.face_count], renderer.faces[renderer.face_count :]
        below = int(renderer.faces.max()) + 1
        counts = torch.tensor([len(head), len(faces), len(collar)])
        self.register_buffer("faces", torch.cat([head, faces + below, collar]), persistent=False)
        self.register_buffer("source_faces", source_faces, persistent=False)
        classes = torch.tensor([1, 2, HAIR_CLASSES], dtype=torch.int32)  # the collar has none
        self.register_buffer("class_of_face", classes.repeat_interleave(counts), persistent=False)
        self.topology = Topology(self.faces)

    def rasterize(self, v_world: Tensor, hair: Tensor, cameras: CameraBatch) -> Fragments:
        """Rasterize heads `v_world [B,V,3]` with layers `hair [B,Vh,3]` (metres), each into its own camera."""
        renderer = self._head[0]
        v_pix = cameras.project(torch.cat([v_world, renderer.torso.vertices(v_world), hair], dim=1))
        index_img, bary, depth = raster.rasterize(v_pix, self.faces, cameras.size)
        count = len(self.source_faces)
        return Fragments(
            v_pix, index_img, bary, depth, renderer.face_count, v_world, cameras.centres(), hair_count=count
        )

    def label_loss(self, fragments: Fragments, shares: Tensor) -> Tensor:
        """Squared difference `[B,H,W]` of the images of background, head and hair from `shares [B,H,W,3]` (uint8, 255
        for a whole pixel); its gradient moves the hair's outline and the hairline."""
        weight = fragments.v_pix.new_ones(HAIR_CLASSES)
        return raster.label_loss(
            shares,
            weight,
            self.class_of_face,
            fragments.v_pix,
            self.faces,
            fragments.index_img,
            topology=self.topology,
        )

    def colours(self, fragments: Fragments, texture: Tensor, pixels: Pixels) -> Tensor:
        """Colours `[N,3]` of N pixels of the hair from a `texture [1,3,T,T]` in the head's texture coordinates."""
        return sample_albedo(texture, self.texture_coordinates(fragments, pixels))

    def texture_coordinates(self, fragments: Fragments, pixels: Pixels) -> Tensor:
        """`[N,2]` at N pixels of the hair."""
        renderer = self._head[0]
        layer_face = (fragments.index_img - fragments.face_count).clamp(0, len(self.source_faces) - 1)
        below = torch.where(fragments.hair, self.source_faces[layer_face.long()].to(torch.int32), -1)
        return pixels.take(raster.interpolate(renderer.uvs, renderer.faces_uv, below, fragments.bary))
