"""HeadRenderer: from vertices and cameras to images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headfit import raster
from headfit.head import HeadModel
from headfit.raster import PixelLossKind, Topology
from headfit.render.appearance import GLOSSY, Appearance
from headfit.render.cameras import CameraBatch
from headfit.render.filters import without_gradient_at
from headfit.render.geometry import VertexNormals
from headfit.render.pixels import Pixels
from headfit.render.torso import Torso

#: How colours are compared: quadratic below this residual (display-coded colour, about five grey levels), linear above.
COLOUR_LOSS: tuple[PixelLossKind, float] = ("charbonnier", 0.02)


@dataclass(frozen=True)
class Fragments:
    """What each pixel of B views sees: the result of one rasterization.

    v_pix `[B,V',3]` (head, collar and hair vertices), index_img `[B,H,W]` (-1: background; from `face_count` on:
    `hair_count` faces of the hair layer, then the below-neck region), bary `[B,H,W,3]`, depth `[B,H,W]` (metres; 0 on
    background). Rasterized from heads v_world `[B,V,3]` by cameras with optical centres `[B,3]` (metres, world).
    """

    v_pix: Tensor
    index_img: Tensor
    bary: Tensor
    depth: Tensor
    face_count: int
    v_world: Tensor
    centres: Tensor
    hair_count: int = 0

    @property
    def head(self) -> Tensor:
        """Bool `[B,H,W]`: the pixel shows the head."""
        return (self.index_img >= 0) & (self.index_img < self.face_count)

    @property
    def head_index(self) -> Tensor:
        """`index_img` with the below-neck region counted as background."""
        return self.index_at(self.head)

    def index_at(self, pixels: Tensor) -> Tensor:
        """`index_img` at `pixels`, bool `[B,H,W]`; -1 elsewhere."""
        return torch.where(pixels, self.index_img, -1)

    @property
    def below_neck(self) -> Tensor:
        """Bool `[B,H,W]`: the pixel shows the body below the neck's cut; never compared."""
        return self.index_img >= self.face_count + self.hair_count

    @property
    def hair(self) -> Tensor:
        """Bool `[B,H,W]`: the pixel shows the hair layer."""
        return (self.index_img >= self.face_count) & ~self.below_neck


class HeadRenderer(nn.Module):
    """Renders a head model: visibility, labels and colour, differentiable in vertices and appearance.

    `normals(v_world)`: unit vertex normals of heads, see `VertexNormals`.
    """

    faces: Tensor
    head_faces: Tensor
    faces_uv: Tensor
    uvs: Tensor
    face_labels: Tensor
    gloss_kind: Tensor

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        self.torso = Torso(head.neck_loop, head.vertex_count)
        self.face_count = len(head.faces)
        collar = self.torso.faces
        self.register_buffer("faces", torch.cat([head.faces, collar]), persistent=False)
        for name in ("faces_uv", "uvs", "face_labels"):
            self.register_buffer(name, getattr(head, name), persistent=False)
        self.register_buffer("head_faces", head.faces, persistent=False)
        gloss_kind = head.faces.new_full((head.vertex_count,), -1)
        for kind, names in enumerate(GLOSSY):
            gloss_kind[head.vertices_of(*names)] = kind
        self.register_buffer("gloss_kind", gloss_kind, persistent=False)
        self.topology = Topology(self.faces)
        self.normals = VertexNormals(head.faces, head.vertex_count)

    def rasterize(self, v_world: Tensor, cameras: CameraBatch) -> Fragments:
        """Rasterize heads `v_world [B,V,3]` (metres), each into its own camera of `cameras`."""
        v_pix = cameras.project(torch.cat([v_world, self.torso.vertices(v_world)], dim=1))
        index_img, bary, depth = raster.rasterize(v_pix, self.faces, cameras.size)
        return Fragments(v_pix, index_img, bary, depth, self.face_count, v_world, cameras.centres())

    def label_probabilities(
        self, fragments: Fragments, class_of_label: Tensor, classes: int, shown_as: Tensor | None = None
    ) -> Tensor:
        """One-hot class images `[B,H,W,C]`, whose gradient moves the borders between classes.

        Args:
            fragments: the visibility of the views.
            class_of_label: `[labels]` class of each of the model's labels, -1 for labels that are not compared.
            classes: number of classes C; class 0 is background. Below-neck pixels are 0 in every class.
            shown_as: `[B,C]` as which class each one is shown in each view; None: each as itself.
        """
        image, group = self.class_image(fragments, class_of_label, classes, shown_as)
        f = fragments
        return raster.edge_grad(image, f.v_pix, self.faces, f.index_img, group=group, topology=self.topology)

    def label_loss(
        self,
        fragments: Fragments,
        class_of_label: Tensor,
        class_weight: Tensor,
        shares: Tensor,
        shown_as: Tensor | None = None,
    ) -> Tensor:
        """Squared difference `[B,H,W]` of `label_probabilities` and `shares [B,H,W,C]` (uint8, 255 for a whole pixel),
        each class weighted by `class_weight [C]`: the same gradient, without images of all classes."""
        return raster.label_loss(
            shares,
            class_weight,
            self._classes_of_faces(class_of_label, len(class_weight)),
            fragments.v_pix,
            self.faces,
            fragments.index_img,
            shown_as=None if shown_as is None else shown_as.int(),
            topology=self.topology,
        )

    def class_image(
        self, fragments: Fragments, class_of_label: Tensor, classes: int, shown_as: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One-hot images `[B,H,W,C]` of the classes, 0 where there is none; and the class of each face `[F]`, by which
        `edge_grad` groups them. Classes that a view shows as one have no border in it: no jump."""
        group = self._classes_of_faces(class_of_label, classes)
        of_class = torch.eye(classes + 1, classes, device=group.device)  # row C: no class
        # Index -1 picks the last entry: background.
        row = torch.cat([group, group.new_zeros(1)]).take(fragments.index_img.long())
        if shown_as is not None:  # a table for each view, one below the other
            views = torch.arange(len(shown_as), device=row.device)
            of_class = of_class[torch.nn.functional.pad(shown_as, (0, 1), value=classes)].flatten(0, 1)
            row = row + (views * (classes + 1))[:, None, None]
        return torch.nn.functional.embedding(row, of_class), group

    def _classes_of_faces(self, class_of_label: Tensor, classes: int) -> Tensor:
        """The class of each face `[F]` int32; `classes` for none."""
        head = class_of_label[self.face_labels]
        of_head = head.where(head >= 0, classes)
        return torch.cat([of_head, head.new_full((len(self.faces) - self.face_count,), classes)]).int()

    def colour_edges(self, loss: Tensor, image: Tensor, target: Tensor, fragments: Fragments) -> Tensor:
        """`loss [B,H,W]`, the `COLOUR_LOSS` of colours; its gradient also moves the edges at which one surface occludes
        another, by the jumps of `image [B,H,W,3]`, which is compared with `target [B,H,W,3]`."""
        kind, scale = COLOUR_LOSS
        return raster.edges_of_loss(
            loss,
            image,
            target,
            fragments.v_pix,
            self.faces,
            fragments.index_img,
            kind=kind,
            scale=scale,
            topology=self.topology,
        )

    def shade(
        self,
        fragments: Fragments,
        normals: Tensor,
        appearance: Appearance,
        camera: Tensor,
        index_img: Tensor,
        still: Tensor | None = None,
    ) -> Tensor:
        """Colours `[B,H,W,3]` of the head, 0 elsewhere.

        Args:
            fragments: visibility from `rasterize`.
            normals: unit vertex normals `[B,V,3]` of the same heads, world frame.
            appearance: texture, light, gloss, gains.
            camera: `[B]` camera index of each view, for its light and gain.
            index_img: `fragments.head_index`, or `fragments.index_at` those pixels of the head that need a colour.
            still: bool `[B,H,W]`: pixels whose colour does not move the geometry.
        """
        uv = raster.interpolate(self.uvs, self.faces_uv, index_img, fragments.bary)
        if still is not None:
            uv = without_gradient_at(uv, still)
        albedo = raster.sample_texture(appearance.albedo()[0].permute(1, 2, 0), uv, index_img, mips=1)
        of_vertices = torch.cat([normals, self._gloss(fragments, normals, appearance)], dim=-1)
        surface = raster.interpolate(of_vertices, self.head_faces, index_img, fragments.bary)
        light, gain = appearance.lights(camera), appearance.gain(camera)
        return raster.shade_pixels(albedo, surface, light, gain, index_img, still)

    def _gloss(self, fragments: Fragments, normals: Tensor, appearance: Appearance) -> Tensor:
        """What vertices `[B,V,1]` mirror of their surroundings into the cameras."""
        f = fragments
        return raster.mirrored_gloss(f.v_world, normals, f.centres, appearance.gloss, self.gloss_kind)[..., None]

    @torch.no_grad()
    def layers(self, fragments: Fragments, appearance: Appearance, camera: Tensor) -> dict[str, Tensor]:
        """Finished images of the visible heads, without gradients.

        Returns:
            rgb `[B,H,W,3]` in [0,1] (around the head: the appearance's mean colours), alpha `[B,H,W]` (1 on the head),
            label `[B,H,W]` int64 (index into the model's labels, -1 outside the head), depth `[B,H,W]` (metres, 0
            outside), normal `[B,H,W,3]` (unit, world frame, 0 outside), below_neck bool `[B,H,W]`.
        """
        normals = self.normals(fragments.v_world)
        shown = self.shade(fragments, normals, appearance, camera, fragments.head_index).clamp(0, 1)
        rgb = torch.where(fragments.head[..., None], shown, appearance.background)
        normal = raster.interpolate(normals, self.head_faces, fragments.head_index, fragments.bary)
        label = torch.where(
            fragments.head, self.face_labels[fragments.index_img.long().clamp(0, self.face_count - 1)], -1
        )
        return {
            "rgb": rgb,
            "alpha": fragments.head.to(rgb),
            "label": label,
            "depth": torch.where(fragments.head, fragments.depth, 0.0),
            "normal": torch.nn.functional.normalize(normal, dim=-1, eps=1e-12),
            "below_neck": fragments.below_neck,
        }

    def surface(self, fragments: Fragments, normals: Tensor, pixels: Pixels) -> tuple[Tensor, Tensor]:
        """uv `[N,2]` and unit normals `[N,3]` at N pixels, of vertex `normals [B,V,3]`; 0 off the head."""
        uv = pixels.take(raster.interpolate(self.uvs, self.faces_uv, fragments.head_index, fragments.bary))
        return uv, torch.nn.functional.normalize(self.at_pixels(fragments, normals, pixels), dim=-1, eps=1e-12)

    def at_pixels(self, fragments: Fragments, attributes: Tensor, pixels: Pixels) -> Tensor:
        """Vertex attributes `[B,V,C]` interpolated at N pixels: `[N,C]`, 0 off the head."""
        return pixels.take(raster.interpolate(attributes, self.head_faces, fragments.head_index, fragments.bary))
