"""Appearance of the surface: albedo texture, spherical-harmonics light, gloss, and a colour gain per camera.

All colours are the images' own display-coded ones in [0, 1], and light multiplies those. If the display curve is a
power, a product stays a product; and display coding keeps dark and bright residuals on one scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headfit.raster import SH_COUNT, sample_texture, sh_basis
from headfit.render.filters import double

#: Kinds of glossy surface, by labels. The inner mouth reflects too little of the surroundings to be one.
GLOSSY = (
    ("skin", "nose", "ears", "neck", "brows", "hair", "upper_lip", "lower_lip", "lips"),
    ("left_eye", "right_eye"),
)


#: Points of a row of the picture that `sample_albedo` makes of them.
ROW = 512


def gloss(mirrored: Tensor, form: Tensor) -> Tensor:
    """Gloss `[...]` in unit directions `[...,3]` (world frame): the harmonics' quadratic form `[9,9]`, so a polynomial
    of degree 4."""
    basis = sh_basis(mirrored)
    return ((basis @ form) * basis).sum(-1)


class Appearance(nn.Module):
    """Albedo texture, light, gloss and camera colour, all trainable.

    Gloss `[kinds,9,9]`, one for each kind of `GLOSSY`, is added to the shaded albedo. It is white, and a function of
    the reflected view direction only (see `gloss`): the reflection of the surroundings.

    In addition to the light that all cameras share, each has a residual light: for a distant camera, the strength of a
    highlight depends on the camera and the normal only, so broad highlights are explained by it instead of the shape.

    The texture is a sum of `levels` images, each with twice the resolution of the previous one. A gradient step then
    changes coarse colour everywhere and detail where pixels show it; texels that no pixel shows take the colour of
    their neighbourhood.

    Args:
        texture_size: texels per side of the finest level.
        centres: `[cameras,3]` of the capture's cameras, world.
        trained: indices of the cameras that are trained on; default all.
        levels: number of pyramid levels.

    The surroundings of the head, below the neck's cut too, are not modelled; pictures show their mean colour
    `background [3]` there.
    """

    background: Tensor
    light_blend: Tensor
    gain_blend: Tensor

    def __init__(
        self, texture_size: int, centres: Tensor, trained: Sequence[int] | None = None, levels: int = 4
    ) -> None:
        super().__init__()
        self.texture_size = texture_size
        cameras = len(centres)
        sizes = [texture_size >> k for k in reversed(range(levels))]
        self.levels = nn.ParameterList([nn.Parameter(torch.zeros(1, 3, s, s)) for s in sizes])
        nn.init.constant_(self.levels[0], 0.5)
        light = torch.zeros(SH_COUNT, 3)
        light[0] = 1.0
        self.light = nn.Parameter(light)
        self.gloss = nn.Parameter(torch.zeros(len(GLOSSY), SH_COUNT, SH_COUNT))
        self.camera_light = nn.Parameter(torch.zeros(cameras, SH_COUNT, 3))
        self.log_gain = nn.Parameter(torch.zeros(cameras, 3))
        light_blend, gain_blend = camera_blends(centres, range(len(centres)) if trained is None else trained)
        self.register_buffer("light_blend", light_blend, persistent=False)
        self.register_buffer("gain_blend", gain_blend, persistent=False)
        self.register_buffer("background", torch.zeros(3))

    def albedo(self) -> Tensor:
        """The texture `[1,3,T,T]`; row 0 is v = 1 (the top)."""
        total = self.levels[0]
        for level in list(self.levels)[1:]:
            total = double(total) + level
        return total

    @torch.no_grad()
    def set_albedo(self, albedo: Tensor) -> None:
        """Store a texture `[1,3,T,T]` in the pyramid: each level holds the residual of the coarser ones."""
        coarser: Tensor | None = None
        for level in self.levels:
            wanted = F.adaptive_avg_pool2d(albedo, level.shape[-2:])
            level.copy_(wanted if coarser is None else wanted - double(coarser))
            coarser = wanted

    def lights(self, camera: Tensor) -> Tensor:
        """Light `[B,9,3]` as cameras `[B]` see it: the shared one plus their residual. A camera that was not trained on
        takes its neighbours' residual; -1, one that is not of the capture, has none."""
        own = torch.tensordot(self.light_blend[camera], self.camera_light, 1)
        return self.light + torch.where(camera[:, None, None] >= 0, own, 0.0)

    def gain(self, camera: Tensor) -> Tensor:
        """Colour gains `[B,3]` of cameras `[B]`, 1 on average; 1 for those that were not trained on, and for -1."""
        own = torch.tensordot(self.gain_blend[camera], self.log_gain, 1)
        return torch.where(camera[:, None] >= 0, own, 0.0).exp()


def camera_blends(centres: Tensor, trained: Sequence[int]) -> tuple[Tensor, Tensor]:
    """How much of each camera's residual light, and of its log-gain, each camera takes: two `[cameras,cameras]`.

    The trained cameras' mean is taken off: it belongs to the shared light and to the texture. A camera that was not
    trained on has no gain of its own. But highlights change slowly with the direction of view, so it takes the light
    of the trained cameras, weighted by a Gaussian of their distance, as wide as the nearest one is far.

    Args:
        centres: `[cameras,3]` in the world.
        trained: indices of the cameras that are trained on.
    """
    known = torch.zeros(len(centres), dtype=torch.bool)
    known[list(trained)] = True
    mean = known / known.sum()
    distance = torch.cdist(centres, centres).masked_fill(~known, torch.inf)
    width = distance.min(1, keepdim=True).values.clamp_min(1e-6)
    nearby = torch.exp(-((distance / width) ** 2))
    own = torch.eye(len(centres)) - mean
    light = torch.where(known[:, None], own, nearby / nearby.sum(1, keepdim=True) - mean)
    return light, torch.where(known[:, None], own, 0.0)


def sample_albedo(albedo: Tensor, uv: Tensor) -> Tensor:
    """Bilinear colours `[N,C]` of a texture `[1,C,T,T]` at `uv [N,2]` (u right, v up, [0,1] over the texture's outline,
    clamped outside of it)."""
    # The list of points as a picture: the sampler's threads share its rows.
    rows = -(-len(uv) // ROW)
    points = F.pad(uv, (0, 0, 0, rows * ROW - len(uv))).view(1, rows, ROW, 2)
    visible = torch.zeros(points.shape[:3], dtype=torch.int32, device=uv.device)
    visible.view(-1)[len(uv) :] = -1
    sampled = sample_texture(albedo[0].permute(1, 2, 0), points, visible, mips=1)
    return sampled.flatten(0, 2)[: len(uv)]


@torch.no_grad()
def splat_albedo(uv: Tensor, colour: Tensor, weight: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Scatter colours `[N,3]` with weights `[N]` to a texture: returns (sum of weight x colour `[1,3,T,T]`, sum of
    weights `[1,1,T,T]`).

    It is the transpose of `sample_albedo`, so it *is* its gradient: no second formula for the footprint.
    """
    with torch.enable_grad():
        probe = torch.zeros(1, 4, size, size, dtype=colour.dtype, device=colour.device, requires_grad=True)
        sampled = sample_albedo(probe, uv)
        values = torch.cat([colour * weight[:, None], weight[:, None]], dim=1)
        (total,) = torch.autograd.grad(sampled, probe, values)
    return total[:, :3], total[:, 3:]


@torch.no_grad()
def fill_holes(total: Tensor, weight: Tensor, fallback: Tensor) -> Tensor:
    """Colours `[1,3,T,T]` of splatted sums; texels that nothing reached take the nearest coarser average (push-pull,
    Gortler et al. 1996), and `fallback [3]` where no level knows anything."""
    if total.shape[-1] == 1:
        return torch.where(weight > 0, total / weight.clamp_min(1e-12), fallback[None, :, None, None])
    coarse = fill_holes(F.avg_pool2d(total, 2), F.avg_pool2d(weight, 2), fallback)
    coarse = double(coarse)
    trust = (weight / weight.mean().clamp_min(1e-12) * 10).clamp(max=1.0)
    return trust * total / weight.clamp_min(1e-12) + (1 - trust) * coarse
