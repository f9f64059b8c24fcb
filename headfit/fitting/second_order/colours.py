"""Residuals of colours: how far the picture's colour is from that of the surface point it shows."""

from __future__ import annotations

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

#: Pixels of each view whose colour is compared.
SAMPLES = 512


def colour_residuals(o: Observation, model: FittedHead, generator: torch.Generator) -> PointResiduals:
    """Rendered minus observed brightness (mean of the channels, 0 to 1) of a random subset of the lit pixels.

    The colour of a surface point is held, so the residual changes with the point's place by the slope of the picture.
    """
    of_model = model.class_of_pixel(o)
    lit = o.on_head & model.photometric_class[of_model] & o.agrees(model.photometric_class)
    pixels, candidates = sample_per_view(lit.flatten(1), SAMPLES, generator)
    brightness = o.batch.image.float().mean(-1) / 255
    value = colours_at(o, model, pixels).mean(-1) - brightness.flatten(1).gather(1, pixels)
    channels, scale = o.batch.image.shape[-1], COLOUR_LOSS[1]
    robust = channels / (value.square() + scale**2).sqrt()
    weight = robust * (candidates / o.head_area)[:, None]
    return image_residuals(o, model.renderer.head_faces, pixels, -_slope(brightness, pixels), value, weight)


def colours_at(o: Observation, model: FittedHead, pixels: Tensor) -> Tensor:
    """Rendered colours `[B,M,3]` of flat pixels `[B,M]` on the head."""
    renderer, appearance = model.renderer, model.appearance
    face = o.fragments.index_img.flatten(1).gather(1, pixels).long().clamp(0, renderer.face_count - 1)
    bary = o.fragments.bary.flatten(1, 2).gather(1, pixels[..., None].expand(-1, -1, 3))[..., None]
    view = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    corners = renderer.head_faces[face].long()
    uv = (renderer.uvs[renderer.faces_uv[face].long()] * bary).sum(2)
    normal = F.normalize((o.normals[view, corners] * bary).sum(2), dim=-1, eps=1e-12)
    ray = (o.v_views[view, corners] * bary).sum(2) - o.cameras.centres()[:, None]
    mirrored = F.normalize(ray - 2 * (ray * normal).sum(-1, keepdim=True) * normal, dim=-1)
    albedo = sample_albedo(appearance.albedo(), uv.flatten(0, 1)).view_as(ray)
    lit = albedo * shading(normal, appearance.lights(o.batch.camera))
    return (lit + gloss(mirrored, appearance.gloss[0])[..., None]) * appearance.gain(o.batch.camera)[:, None]


def _slope(image: Tensor, pixels: Tensor) -> Tensor:
    """Derivatives `[B,M,2]` per pixel along x and y of images `[B,H,W]` at flat pixels: central differences."""
    padded = F.pad(image[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    along_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    along_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return torch.stack([slope.flatten(1).gather(1, pixels) for slope in (along_x, along_y)], dim=-1)
