"""The first texture and light, in closed form, from the images on the geometry as it stands.

Gradient steps refine both from here; they would need hundreds to come as far.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headfit.render.appearance import fill_holes, sh_basis, shading, splat_albedo

if TYPE_CHECKING:
    from headfit.fitting.module import HeadFit

#: Views that are rendered at once.
VIEWS = 16
#: Most views that are looked at; a long capture is thinned evenly.
MOST_VIEWS = 192
#: Residual (display-coded colour) at which a pixel counts half in the light's least squares: highlights and shadows.
LIGHT_SCALE = 0.08


@torch.no_grad()
def start_appearance(fit: HeadFit, scale: float) -> None:
    """Fit the light to the skin as if it had one colour, then collect the images, divided by the light, in the texture.

    `scale` is the image scale to read at.
    """
    samples = list(_samples(fit, scale))
    colour, uv, normal, facing, skin = (torch.cat(parts) for parts in list(zip(*samples, strict=True))[:5])
    background, torso = torch.stack([around for *_, around in samples]).sum(0)
    fit.appearance.background.copy_(background[:3] / background[3].clamp_min(1))
    fit.appearance.torso.copy_(torso[:3] / torso[3].clamp_min(1))
    if not len(colour):
        return  # no usable image at all: the texture stays grey, and the data module reports why
    mean = colour[skin].median(0).values if skin.any() else colour.median(0).values
    if skin.any():
        fit.appearance.light.copy_(_fit_light(colour[skin] / mean.clamp_min(0.05), normal[skin], facing[skin]))
    albedo = colour / shading(normal, fit.appearance.light)
    total, weight = splat_albedo(uv, albedo, facing.square(), fit.appearance.texture_size)
    fit.appearance.set_albedo(fill_holes(total, weight, mean))


def _fit_light(colour: Tensor, normal: Tensor, facing: Tensor) -> Tensor:
    """Harmonic light `[9,3]` by iteratively reweighted least squares, weakly held at white light."""
    basis = sh_basis(normal)
    white = torch.zeros(basis.shape[1], 3)
    white[0] = 1.0
    light = white
    for _ in range(5):
        residual = (basis @ light - colour).square().sum(1)
        weighted = basis * (facing / (1 + residual / LIGHT_SCALE**2))[:, None]
        ridge = 0.01 * weighted[:, 0].sum() * torch.eye(basis.shape[1])
        light = torch.linalg.solve(weighted.T @ basis + ridge, weighted.T @ colour + ridge @ white)
    return light


def _samples(fit: HeadFit, scale: float) -> Iterator[tuple[Tensor, ...]]:
    """Per batch of views, at the head's pixels: colour `[N,3]`, uv `[N,2]`, normal `[N,3]`, cosine to the camera `[N]`,
    and bool `[N]`: skin. And `[2,4]`: sum of colours and count of the pixels of background and torso."""
    skin_class = fit.classes.names.index("skin")
    pairs = [(f, c) for f in fit.visited.nonzero()[:, 0].tolist() for c in fit.data.training_cameras]
    pairs = pairs[:: max(1, -(-len(pairs) // MOST_VIEWS))]
    by_size: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for frame, index in pairs:
        camera = fit.capture.cameras[index]
        by_size.setdefault((camera.height, camera.width), []).append((frame, index))
    plan = [views[i : i + VIEWS] for views in by_size.values() for i in range(0, len(views), VIEWS)]
    for batch in fit.data.batches(plan, scale):
        frames, frame_of_view = torch.unique(batch.frame, return_inverse=True)
        v_frames, _ = fit.geometry(frames)
        cameras = fit.view_cameras(batch)
        seen = fit.renderer.see(v_frames[frame_of_view], cameras)
        target = batch.label_prob.float() / 255
        has_mask = (batch.label_weight > 0).flatten(1).any(1)[:, None, None]
        usable = seen.head & batch.image_valid[:, None, None] & ((target[..., 0] < 0.01) | ~has_mask)
        pixels = usable.flatten().nonzero()[:, 0]
        uv, normal = fit.renderer.surface(seen, fit.renderer.normals(v_frames)[frame_of_view], pixels)
        view = pixels // usable[0].numel()
        ray = fit.renderer.at_pixels(seen, v_frames[frame_of_view], pixels) - cameras.centres()[view]
        facing = -(torch.nn.functional.normalize(ray, dim=-1) * normal).sum(-1)
        colour = (batch.image.flatten(0, 2)[pixels].float() / 255) / fit.appearance.gain(batch.camera)[view]
        face = seen.index_img.flatten()[pixels].long()
        is_skin = (fit.class_of_label[fit.renderer.face_labels[face]] == skin_class) & (
            (target[..., skin_class].flatten()[pixels] > 0.99) | ~has_mask.expand_as(usable).flatten()[pixels]
        )
        beside = torch.where(has_mask, target[..., 0] > 0.99, ~seen.head) & ~seen.beyond
        around = [_colour_sum(batch.image[where & batch.image_valid[:, None, None]]) for where in (beside, seen.beyond)]
        yield colour, uv, normal, facing.clamp_min(0), is_skin, torch.stack(around)


def _colour_sum(pixels: Tensor) -> Tensor:
    """Sum of uint8 colours `[N,3]` on a scale of 0 to 1, and their number, as `[4]`."""
    return torch.cat([pixels.sum(0) / 255, pixels.new_tensor([0], dtype=torch.float32) + len(pixels)])
