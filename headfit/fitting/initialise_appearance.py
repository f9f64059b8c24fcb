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
from headfit.raster import sh_basis, shading
from headfit.render import Pixels
from headfit.render.appearance import fill_holes, splat_albedo

#: Views that are rendered at once.
BATCH_VIEWS = 16
#: Most views that are used, evenly spaced among those of a long capture, and those of them that tell the light: their
#: pixels are in memory at once.
MAX_VIEWS, LIGHT_VIEWS = 192, 48
#: Residual (display-coded colour) at which a pixel counts half in the light's least squares: highlights and shadows.
LIGHT_SCALE = 0.08
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
    appearance, size = model.appearance, model.appearance.texture_size
    mean = _start_light(model, list(_samples(model, data, resolution, LIGHT_VIEWS)))
    total, weight = appearance.light.new_zeros(1, 3, size, size), appearance.light.new_zeros(1, 1, size, size)
    background = appearance.light.new_zeros(4)
    for view in _samples(model, data, resolution, MAX_VIEWS):
        background += view.around
        albedo = view.colour / shading(view.normal, appearance.light)
        sums = splat_albedo(view.uv, albedo, view.facing.square(), size)
        total += sums[0]
        weight += sums[1]
    appearance.background.copy_(background[:3] / background[3].clamp_min(1))
    if weight.sum() > 0:  # else no image is usable: the texture stays grey, and the data module reports why
        appearance.set_albedo(fill_holes(total, weight, mean))


def _start_light(model: FittedHead, samples: list[_Samples]) -> Tensor:
    """Fit the light to the skin in some views. Returns the median colour `[3]` of the skin, or of the head where no
    skin is seen."""
    has_skin = any(bool(sample.skin.any()) for sample in samples)
    chosen = [sample.skin if has_skin else torch.ones_like(sample.skin) for sample in samples]
    colour, normal, facing = (
        torch.cat([getattr(sample, name)[where] for sample, where in zip(samples, chosen, strict=True)])
        for name in ("colour", "normal", "facing")
    )
    if not len(colour):
        return colour.new_full((3,), 0.5)
    mean = _median(colour)
    if has_skin:
        model.appearance.light.copy_(_fit_light(colour / mean.clamp_min(MIN_COLOUR), normal, facing))
    return mean


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
    for batch in _batches(model, data, resolution, MAX_VIEWS):
        o = model.observe(batch)
        fragments = model.rasterize_hair(o.v_views, o.normals, o.cameras)
        assert o.hair_class is not None  # see FittedHead.has_hair
        hair_class = torch.arange(len(model.classes), device=model.device) == o.hair_class
        shown = fragments.hair & o.agrees(hair_class) & o.batch.image_valid
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


def _samples(model: FittedHead, data: CaptureData, resolution: int, views: int) -> Iterator[_Samples]:
    for batch in _batches(model, data, resolution, views):
        yield _sample(model, model.observe(batch))


def _batches(model: FittedHead, data: CaptureData, resolution: int, views: int) -> Iterator[ViewBatch]:
    """Batches of at most `views` views, spread evenly over the training cameras and the frames that a stage moved."""
    frames, cameras = sorted(model.visited_frames), model.training_cameras
    count = min(views, len(frames) * len(cameras))
    pairs = [(frames[k * len(frames) // count], cameras[k % len(cameras)]) for k in range(count)]
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
    background = torch.where(o.has_mask, o.batch.label_prob[..., 0] > 0.99 * 255, ~o.fragments.head) & ~below_neck
    around = _colour_sum(o.batch.image[background & o.batch.image_valid])
    return _Samples(colour, uv, normal, facing.clamp_min(0), pixels.take(is_skin), around)


def _colour_sum(pixels: Tensor) -> Tensor:
    """Sum of uint8 colours `[N,3]` on a scale of 0 to 1, and their number, as `[4]`."""
    return torch.cat([pixels.sum(0) / 255, pixels.new_tensor([0], dtype=torch.float32) + len(pixels)])
