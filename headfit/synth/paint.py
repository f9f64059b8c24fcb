"""A procedural albedo texture that gives each label of the head its look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from headfit.raster import interpolate, rasterize

if TYPE_CHECKING:
    from headfit.head import HeadModel

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """The look of one label: albedo (linear light), relative strength of blotches and fine grain, specular strength."""

    albedo: Rgb
    blotches: float = 0.0
    grain: float = 0.0
    gloss: float = 0.02


SKIN = Look((0.42, 0.22, 0.145), blotches=0.10, grain=0.07, gloss=0.03)
TOOTH = Look((0.72, 0.66, 0.54), blotches=0.05, grain=0.02, gloss=0.12)
LIP = Look((0.36, 0.095, 0.085), blotches=0.08, grain=0.10, gloss=0.06)
EYE = Look((0.62, 0.58, 0.55), blotches=0.04, grain=0.02, gloss=0.25)
LOOKS: dict[str, Look] = {
    "hair": Look((0.045, 0.028, 0.018), blotches=0.25, grain=0.45),
    "brows": Look((0.09, 0.05, 0.032), blotches=0.15, grain=0.35),
    "upper_lip": LIP,
    "lower_lip": LIP,
    "lips": LIP,
    "upper_teeth": TOOTH,
    "lower_teeth": TOOTH,
    "teeth": TOOTH,
    "gums": Look((0.34, 0.10, 0.09), blotches=0.10, grain=0.05, gloss=0.08),
    "tongue": Look((0.38, 0.14, 0.125), blotches=0.08, grain=0.14, gloss=0.06),
    "mouth_cavity": Look((0.07, 0.015, 0.014), blotches=0.15, grain=0.05),
    "left_eye": EYE,
    "right_eye": EYE,
}
CLOTHES: Rgb = (0.06, 0.08, 0.11)

_IRIS: Rgb = (0.10, 0.16, 0.20)
_IRIS_ANGLE = 28.0  # degrees from the eye's axis: an iris of 5.6 mm radius on an eyeball of 12 mm
_PUPIL_ANGLE = 10.0
_FRECKLE: Rgb = (0.20, 0.085, 0.05)


@dataclass(frozen=True)
class Paint:
    """Albedo `[1,3,T,T]` in linear light, whose row 0 is v = 1; gloss `[L]`, the specular strength of each label."""

    albedo: torch.Tensor
    gloss: torch.Tensor


def paint(head: HeadModel, vertices: torch.Tensor, size: int, rng: np.random.Generator) -> Paint:
    """A texture for a head. Patterns are functions of the position on the head, not of UV, so seams do not show.

    Args:
        head: the head model.
        vertices: `[V,3]` at rest, metres, head coordinates.
        size: texels per side.
        rng: source of the patterns.
    """
    texel_face, place = _texels(head, vertices, size)
    covered = texel_face >= 0
    labels = head.face_labels.cpu().numpy()[texel_face[covered]]
    looks = [LOOKS.get(name, SKIN) for name in head.label_names]
    points = place[covered]
    colour = np.array([look.albedo for look in looks])[labels]
    blotches = np.array([look.blotches for look in looks])[labels]
    grain = np.array([look.grain for look in looks])[labels]
    colour *= np.exp(blotches * solid_noise(points, 0.03, rng) + grain * solid_noise(points, 0.003, rng))[:, None]

    names = np.array(head.label_names)[labels]
    freckled = (names == "skin") & (solid_noise(points, 0.006, rng) > 1.7 + 0.5 * solid_noise(points, 0.05, rng))
    colour[freckled] = 0.5 * colour[freckled] + 0.5 * np.array(_FRECKLE)
    for eye in ("left_eye", "right_eye"):
        chosen = names == eye
        if chosen.any():
            colour[chosen] = paint_eye(points[chosen], colour[chosen])

    texture = np.zeros((size, size, 3))
    texture[covered] = colour
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    texture = texture[tuple(nearest)]  # extend the charts beyond their borders, for bilinear sampling
    return Paint(
        albedo=torch.from_numpy(texture).float().permute(2, 0, 1)[None].contiguous(),
        gloss=torch.tensor([look.gloss for look in looks]),
    )


def _texels(head: HeadModel, vertices: torch.Tensor, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The face `[T,T]` (-1: none) and the position on the head `[T,T,3]` of each texel."""
    flat = torch.cat([head.uvs, torch.ones_like(head.uvs[:, :1])], dim=1)
    flat = flat * torch.tensor([size, -size, 1.0]) + torch.tensor([0.0, size, 0.0])  # v up, row 0 is v = 1
    index, bary, _ = rasterize(flat[None].float().contiguous(), head.faces_uv, (size, size))
    place = interpolate(vertices.float()[None], head.faces, index, bary)
    return index[0].numpy(), place[0].numpy().astype(np.float64)


def paint_eye(points: np.ndarray, sclera: np.ndarray) -> np.ndarray:
    """Colours `[N,3]` of an eyeball with iris and pupil around the forward axis (+z at rest).

    Args:
        points: `[N,3]` on its surface, metres.
        sclera: `[N,3]` colours of the white of the eye.
    """
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    ray = points - centre
    angle = np.degrees(np.arccos(ray[:, 2] / np.linalg.norm(ray, axis=1)))
    spokes = 1 + 0.35 * np.sin(23 * np.arctan2(ray[:, 1], ray[:, 0]))
    colour = np.where((angle < _IRIS_ANGLE)[:, None], np.array(_IRIS) * spokes[:, None], sclera)
    limbus = np.exp(-(((angle - _IRIS_ANGLE) / 2.0) ** 2))
    colour = colour * (1 - 0.7 * limbus[:, None])
    return np.where((angle < _PUPIL_ANGLE)[:, None], 0.01, colour)


def solid_noise(points: np.ndarray, wavelength: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise `[N]` of zero mean and unit variance at points `[N,3]`, with features of about one wavelength.

    It is a sum of random plane waves, which is close to Gaussian by the central limit theorem.
    """
    waves = 16
    normals = rng.normal(size=(waves, 3))
    normals *= 2 * np.pi / wavelength / np.linalg.norm(normals, axis=1, keepdims=True)
    normals *= rng.uniform(0.6, 1.4, (waves, 1))
    phases = rng.uniform(0, 2 * np.pi, waves)
    angles = (points @ normals.T + phases).astype(np.float32)
    return np.sqrt(2 / waves) * np.cos(angles).sum(axis=1, dtype=np.float64)
