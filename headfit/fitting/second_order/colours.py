"""Residuals of colours: how far the picture's colour is from that of the surface point it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.second_order.residuals import PointResiduals, image_residuals
from headfit.fitting.second_order.sampling import sample_per_view
from headfit.raster import shading
from headfit.render import COLOUR_LOSS
from headfit.render.appearance import gloss, sample_albedo

#: Pixels of each view whose colour is compared: of lit skin and lips, and of the eyes.
LIT_SAMPLES, EYE_SAMPLES = 512, 128
#: Least height of a triangle, as a share of its longest edge, with which its normal turns: what is lit turns with the
#: surface around it, not with a sliver.
LEAST_HEIGHT = 0.1


def colour_residuals(o: Observation, model: FittedHead, generator: torch.Generator) -> PointResiduals:
    """Rendered minus observed brightness (mean of the channels, 0 to 1) of a random subset of the pixels whose colour
    moves the surface.

    The residual changes with the place of the surface point by the slope of the render, whose colours move with it, and
    with its normal by the light. So the gradient is that of the photometric term of brightness without its edges, up
    to differences between pixels.
    """
    parts = [
        sample_per_view(compared.flatten(1), count, generator)
        for compared, count in zip(model.colour_kinds(o), (LIT_SAMPLES, EYE_SAMPLES), strict=True)
    ]
    pixels = torch.cat([chosen for chosen, _ in parts], dim=1)
    stands_for = torch.cat([number[:, None].expand_as(chosen) for chosen, number in parts], dim=1)
    value, slope = brightness_errors(o, model, pixels)
    points = SurfacePoints.of(o, model, pixels)
    channels, scale = o.batch.image.shape[-1], COLOUR_LOSS[1]
    robust = channels / (value.square() + scale**2).sqrt()
    weight = robust * stands_for / o.head_area[:, None]
    by_place = image_residuals(o, model.renderer.head_faces, pixels, -slope, value, weight)
    turned = points.turned(brightness_by_normal(o, model, points))
    return replace(by_place, direction=by_place.direction + turned.flatten(0, 1))


def brightness_errors(o: Observation, model: FittedHead, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Rendered minus observed brightness `[B,M]` at flat pixels `[B,M]`, and the slope `[B,M,2]` of the rendered one
    along x and y (per pixel): central differences, halved at the picture's border. Where nothing is compared the
    picture itself counts as rendered.

    Only these pixels and the four around each are rendered.
    """
    height, width = o.on_head.shape[1:]
    column, row = pixels % width, pixels // width
    steps = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    around = torch.stack(
        [(row + y).clamp(0, height - 1) * width + (column + x).clamp(0, width - 1) for x, y in steps], dim=1
    ).flatten(1)  # [B,5M]
    needed = torch.zeros_like(o.on_head).flatten(1).scatter(1, around, True).view_as(o.on_head) & o.on_head
    channels = around[..., None].expand(-1, -1, o.batch.image.shape[-1])
    shown, seen = (image.flatten(1, 2).gather(1, channels) for image in (model.colours_at(o, needed), o.batch.image))
    seen = seen.float() / 255
    shown = torch.where(needed.flatten(1).gather(1, around)[..., None], shown, seen)
    here, right, left, below, above = shown.mean(-1).unflatten(1, (len(steps), -1)).unbind(1)
    seen_here = seen[:, : pixels.shape[1]].mean(-1)
    return here - seen_here, torch.stack([right - left, below - above], dim=-1) / 2


@dataclass(frozen=True)
class SurfacePoints:
    """What M pixels in each of B views show: albedo `[B,M,3]`, ray `[B,M,3]` from the camera's centre (metres), unit
    normal `[B,M,3]` that is lit, the corners `[B,M,3,3]` (metres, world) of their triangles, and the kind of their
    gloss `[B,M]`: an index into `Appearance.gloss`, -1 for none; that of the first corner."""

    albedo: Tensor
    ray: Tensor
    normal: Tensor
    triangle: Tensor
    gloss_kind: Tensor

    @classmethod
    def of(cls, o: Observation, model: FittedHead, pixels: Tensor) -> SurfacePoints:
        """Those of flat pixels `[B,M]` on the head."""
        renderer = model.renderer
        face = o.fragments.index_img.flatten(1).gather(1, pixels).long().clamp(0, renderer.face_count - 1)
        bary = o.fragments.bary.flatten(1, 2).gather(1, pixels[..., None].expand(-1, -1, 3))[..., None]
        view = torch.arange(len(pixels), device=pixels.device)[:, None, None]
        corners = renderer.head_faces[face].long()
        uv = (renderer.uvs[renderer.faces_uv[face].long()] * bary).sum(2)
        normal = F.normalize((o.normals[view, corners] * bary).sum(2), dim=-1, eps=1e-12)
        triangle = o.v_views[view, corners]
        ray = (triangle * bary).sum(2) - o.cameras.centres()[:, None]
        albedo = sample_albedo(model.appearance.albedo(), uv.flatten(0, 1)).view_as(ray)
        return cls(albedo, ray, normal, triangle, renderer.gloss_kind[corners[..., 0]])

    def turned(self, by_normal: Tensor) -> Tensor:
        """Derivatives `[B,M,3,3]` by the corners of what has the derivatives `by_normal [B,M,3]` by the normal.

        A triangle's unit normal n changes by -grad(n . m), where m is the displacement, linear in the triangle. The
        normal that is lit, interpolated between vertices, is taken to change like it.
        """
        a, b, c = self.triangle.unbind(2)
        across, edges = torch.linalg.cross(b - a, c - a), (c - b, a - c, b - a)
        area = across.square().sum(-1, keepdim=True).clamp_min(1e-30)
        normal = across / area.sqrt()
        longest = torch.stack([edge.square().sum(-1, keepdim=True) for edge in edges]).amax(0)
        area = area.maximum((LEAST_HEIGHT * longest).square())
        # Gradients of the barycentric weights.
        gradient = torch.stack([torch.linalg.cross(across, edge) / area for edge in edges], dim=2)
        return -(gradient @ by_normal[..., None]) * normal[:, :, None]


@torch.enable_grad()
def brightness_by_normal(o: Observation, model: FittedHead, points: SurfacePoints) -> Tensor:
    """Derivatives `[B,M,3]` of the rendered brightness of points by their normals."""
    normal = points.normal.detach().requires_grad_()
    brightness = colours_of(o, model, replace(points, normal=normal)).mean(-1)
    return torch.autograd.grad(brightness.sum(), normal)[0]


def colours_of(o: Observation, model: FittedHead, points: SurfacePoints) -> Tensor:
    """Rendered colours `[B,M,3]` of points."""
    appearance, ray, normal = model.appearance, points.ray, points.normal
    mirrored = F.normalize(ray - 2 * (ray * normal).sum(-1, keepdim=True) * normal, dim=-1)
    lit = points.albedo * shading(normal, appearance.lights(o.batch.camera))
    kinds = [gloss(mirrored, form) * (points.gloss_kind == kind) for kind, form in enumerate(appearance.gloss)]
    return (lit + torch.stack(kinds).sum(0)[..., None]) * appearance.gain(o.batch.camera)[:, None]
