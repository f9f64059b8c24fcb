"""The first texture and light, in closed form, from the images on the current geometry.

Gradient steps refine both from here; they would need hundreds to get this far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.capture.data import CaptureData
from headfit.capture.framing import framings_at
from headfit.capture.views import ViewBatch
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.render import Pixels
from headfit.render.appearance import fill_holes, sh_basis, shading, splat_albedo

#: Views that are rendered at once.
BATCH_VIEWS = 16
#: Most views that are used; those of a long capture are thinned evenly.
MAX_VIEWS = 192
#: Residual (display-coded colour) at which a pixel counts half in the light's least squares: highlights and shadows.
LIGHT_SCALE = 0.08
#: Share of hair in a pixel from which its colour is the hair's.
ALL_HAIR = 0.99
#: Least colour of the skin by which images are divided.
MIN_COLOUR = 0.05


@dataclass(frozen=True)
class _Samples:
    """Head pixels of a batch of views: colour `[N,3]`, uv `[N,2]`, normal `[N,3]`, cosine to the camera `[N]`, and bool
    `[N]`: skin. And `[4]`: sum of the colours of the background's pixels, and their number."""

    colour: Tensor
    uv: Tensor
    normal: Tensor
    facing: Tensor
    skin: Tensor
    around: Tensor


@torch.no_grad()
def initialise_appearance(model: FittedHead, data: CaptureData, resolution: int) -> None:
    """Fit the light to the skin as if it had one colour, then collect the images, divided by the light, in the texture.

    Args:
        model: its geometry has been fitted coarsely.
        data: serves the views.
        resolution: pixels across the head to read at.
    """
    batches = list(_samples(model, data, resolution))
    colour, uv, normal, facing, skin = (
        torch.cat([getattr(b, name) for b in batches]) for name in ("colour", "uv", "normal", "facing", "skin")
    )
    appearance = model.appearance
    background = torch.stack([b.around for b in batches]).sum(0)
    appearance.background.copy_(background[:3] / background[3].clamp_min(1))
    if not len(colour):
        return  # no usable image at all: the texture stays grey, and the data module reports why
    mean = _median(colour[skin] if skin.any() else colour)
    if skin.any():
        appearance.light.copy_(_fit_light(colour[skin] / mean.clamp_min(MIN_COLOUR), normal[skin], facing[skin]))
    albedo = colour / shading(normal, appearance.light)
    total, weight = splat_albedo(uv, albedo, facing.square(), appearance.texture_size)
    appearance.set_albedo(fill_holes(total, weight, mean))


@torch.no_grad()
def collect_hair_colours(model: FittedHead, data: CaptureData, resolution: int) -> None:
    """Collect the images' hair, divided by the cameras' gains, in the texture of the hair layer.

    Args:
        model: its hair layer has been fitted, at least coarsely.
        data: serves the views.
        resolution: pixels across the head to read at.
    """
    size = model.hair_texture.shape[-1]
    total, weight = model.hair_texture.new_zeros(1, 3, size, size), model.hair_texture.new_zeros(1, 1, size, size)
    for batch in _batches(model, data, resolution):
        o = model.observe(batch)
        fragments = model.rasterize_hair(o.v_views, o.normals, o.cameras)
        shown = fragments.hair & ((o.target[..., o.hair_class] > ALL_HAIR) | ~o.has_mask) & o.batch.image_valid
        pixels = Pixels.where(shown)
        gain = pixels.per_view(model.appearance.gain(o.batch.camera))
        colour = (pixels.take(o.batch.image).float() / 255) / gain
        uv = model.hair_renderer.texture_coordinates(fragments, pixels)
        sums = splat_albedo(uv, colour, torch.ones_like(colour[:, 0]), size)
        total, weight = total + sums[0], weight + sums[1]
    if weight.sum() > 0:
        mean = total.sum((0, 2, 3)) / weight.sum()
        model.hair_texture.copy_(fill_holes(total, weight, mean))


def _median(colour: Tensor) -> Tensor:
    """Median of each channel `[3]` of colours `[N,3]`; channel by channel, since torch's median along a dimension has
    no deterministic CUDA version."""
    return torch.stack([channel.median() for channel in colour.unbind(1)])


def _fit_light(colour: Tensor, normal: Tensor, facing: Tensor) -> Tensor:
    """Harmonic light `[9,3]` by iteratively reweighted least squares, weakly tied to white light."""
    basis = sh_basis(normal)
    white = basis.new_zeros(basis.shape[1], 3)
    white[0] = 1.0
    light = white
    for _ in range(5):
        residual = (basis @ light - colour).square().sum(1)
        weighted = basis * (facing / (1 + residual / LIGHT_SCALE**2))[:, None]
        ridge = 0.01 * weighted[:, 0].sum() * torch.eye(basis.shape[1], device=basis.device)
        light = torch.linalg.solve(weighted.T @ basis + ridge, weighted.T @ colour + ridge @ white)
    return light


def _samples(model: FittedHead, data: CaptureData, resolution: int) -> Iterator[_Samples]:
    for batch in _batches(model, data, resolution):
        yield _sample(model, model.observe(batch))


def _batches(model: FittedHead, data: CaptureData, resolution: int) -> Iterator[ViewBatch]:
    """Batches of views, thinned evenly, of all training cameras and of the frames that a stage has moved."""
    pairs = [(f, c) for f in model.visited.nonzero()[:, 0].tolist() for c in model.training_cameras]
    pairs = pairs[:: max(1, -(-len(pairs) // MAX_VIEWS))]
    plan = [pairs[i : i + BATCH_VIEWS] for i in range(0, len(pairs), BATCH_VIEWS)]
    yield from data.batches(plan, framings_at(model.head_windows, resolution))


def _sample(model: FittedHead, o: Observation) -> _Samples:
    skin_class = torch.arange(len(model.classes), device=model.device) == model.classes.names.index("skin")
    pixels = Pixels.where(o.on_head)
    uv, normal = model.renderer.surface(o.fragments, o.normals, pixels)
    ray = model.renderer.at_pixels(o.fragments, o.v_views, pixels) - pixels.per_view(o.cameras.centres())
    facing = -(torch.nn.functional.normalize(ray, dim=-1) * normal).sum(-1)
    colour = (pixels.take(o.batch.image).float() / 255) / pixels.per_view(model.appearance.gain(o.batch.camera))
    is_skin = skin_class[model.class_of_pixel(o)] & o.agrees(skin_class)
    below_neck = o.fragments.below_neck
    background = torch.where(o.has_mask, o.target[..., 0] > 0.99, ~o.fragments.head) & ~below_neck
    around = _colour_sum(o.batch.image[background & o.batch.image_valid])
    return _Samples(colour, uv, normal, facing.clamp_min(0), pixels.take(is_skin), around)


def _colour_sum(pixels: Tensor) -> Tensor:
    """Sum of uint8 colours `[N,3]` on a scale of 0 to 1, and their number, as `[4]`."""
    return torch.cat([pixels.sum(0) / 255, pixels.new_tensor([0], dtype=torch.float32) + len(pixels)])
