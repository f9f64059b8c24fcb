"""Residuals of label borders: how far each border of the rendered labels has to move to agree with the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.fitting.observation import Observation
from headfit.fitting.second_order.residuals import PointResiduals, image_residuals
from headfit.fitting.second_order.sampling import sample_per_view

#: Distance (pixels) from which a border's cost rises linearly, like the area that is wrong.
LINEAR_FROM = 0.7
#: Distance (pixels) up to which a border is looked for in the mask.
REACH = 24
#: Pixels that have to be put right for every pixel that a border moves, so that of equal places the nearer one counts.
PER_PIXEL = 0.1
#: Pixels that may be put wrong on the way to a place: half of one, since borders pass through pixels.
BARRIER = 0.5
#: Label of a pixel below the neck. What is there may be skin or background, so the mask shows where a head in front of
#: it is too large, but never that it is too small.
BELOW_NECK = -2
#: Half the width (pixels) of the window in which a border's normal is found.
WINDOW = 3
#: Samples of each view: of borders with the background, and of the others.
OUTLINE_SAMPLES, INSIDE_SAMPLES = 128, 512


@dataclass(frozen=True)
class BorderSamples:
    """M rendered borders in each of B views; flat pixel indices `[B,M]` into H*W.

    owner: the pixel on the nearer surface, which carries the border; other: its neighbour, of another class.
    candidates `[B,M]`: how many borders (pairs of pixels) a sample stands for, 0 for none.
    """

    owner: Tensor
    other: Tensor
    candidates: Tensor


def sample_borders(
    label: Tensor, depth: Tensor, known: Tensor, counts: Sequence[int], generator: torch.Generator
) -> BorderSamples:
    """Neighbouring pixels of different classes, and those of the head in front of what is below the neck.

    Args:
        label: `[B,H,W]` class of each rendered pixel, 0 background, -1 not compared, `BELOW_NECK`.
        depth: `[B,H,W]` metres.
        known: bool `[B,H,W]`, where the mask says something.
        counts: samples of each view: of borders with the background, and of others.
        generator: draws them.
    """
    height, width = label.shape[1:]
    far = torch.where(label == 0, torch.inf, depth)
    usable, below, head = known & (label >= 0), label == BELOW_NECK, known & (label > 0)
    pairs, outline = torch.zeros(2, len(label), 2, height, width, dtype=torch.bool, device=label.device)
    for axis in (0, 1):  # a pixel and its right neighbour, or the lower one
        here = tuple(slice(0, size - (axis == 1 - k)) for k, size in enumerate((height, width)))
        there = tuple(slice(axis == 1 - k, None) for k in range(2))
        one, two = (slice(None), *here), (slice(None), *there)
        differ = (label[one] != label[two]) & usable[one] & usable[two]
        beside = (head[one] & below[two] & (depth[one] < depth[two])) | (
            below[one] & head[two] & (depth[two] < depth[one])
        )
        pairs[:, axis][one] = differ | beside
        outline[:, axis][one] = beside | differ & ((label[one] == 0) | (label[two] == 0))
    parts = [
        sample_per_view(chosen.flatten(1), count, generator)
        for chosen, count in zip((outline, pairs & ~outline), counts, strict=True)
    ]
    place = torch.cat([chosen for chosen, _ in parts], dim=1)
    stands_for = torch.cat([n[:, None].expand_as(chosen) for chosen, n in parts], dim=1)
    lower, first = place // (height * width), place % (height * width)  # 1 where the pair is one below the other
    second = (first + 1 + lower * (width - 1)).clamp_max(height * width - 1)
    depths = far.flatten(1)
    swap = depths.gather(1, second) < depths.gather(1, first)
    return BorderSamples(torch.where(swap, second, first), torch.where(swap, first, second), stands_for)


def border_residuals(
    o: Observation,
    faces: Tensor,
    samples: BorderSamples,
    label: Tensor,
    class_weight: Tensor,
    inner: Tensor,
    area: Tensor,
    blur: float,
) -> PointResiduals:
    """How far each sample has to move along its normal so that the mask's pixels there are right (pixels).

    The point of the nearer surface that carries the border moves with it: so does a silhouette, to first order, along
    its normal. Next to `BELOW_NECK` only samples that have to move inward count. Costs are those of the mask term for
    distances above `LINEAR_FROM`: the area that is wrong, by class.

    Args:
        o: the views, and the model in them.
        faces: `[F,3]` of the head.
        samples: rendered borders.
        label: `[B,H,W]` class of each rendered pixel.
        class_weight: `[C]` of the mask term.
        inner: bool `[C]`: the class is behind the lips.
        area: `[B]` by what the mask losses of the views are divided.
        blur: distance (pixels) from which the cost rises linearly, but at least `LINEAR_FROM`.
    """
    width = label.shape[2]
    owner, beyond = (label.flatten(1).gather(1, place).long() for place in (samples.owner, samples.other))
    other = beyond.clamp_min(0)
    middle = (_xy(samples.owner, width) + _xy(samples.other, width)) / 2
    normal = border_normals(label, owner, middle)
    classes = torch.arange(len(class_weight), device=label.device)
    own = owner[..., None] == classes
    # What of the mouth's inside is next to the lips depends on the lips, so there it is one class.
    merged = inner[owner] != inner[other]
    own = own | (inner & (inner[owner] & merged)[..., None])
    against = (other[..., None] == classes) | (inner & (inner[other] & merged)[..., None])
    shares, known = (share_profiles(x, middle, normal) for x in (o.batch.label_prob, o.mask_known[..., None]))
    shares = shares * (known / 255)
    distance = border_distances(shares, own, against, only_inward=beyond == BELOW_NECK)
    robust = 1 / distance.abs().clamp_min(max(LINEAR_FROM, blur))
    pairs_per_length = normal.abs().sum(-1).clamp_min(1.0)  # neighbouring pixels along a pixel of the border
    weight = (class_weight[owner] + class_weight[other]) / pairs_per_length * robust / area[:, None]
    weight = weight * samples.candidates * ((beyond >= 0) | (distance < 0))
    return image_residuals(o, faces, samples.owner, normal, -distance, weight)


def border_normals(label: Tensor, owner: Tensor, middle: Tensor) -> Tensor:
    """Unit normals `[B,M,2]` of rendered borders, away from the surface that carries them: from the centroid of its
    pixels in a window to the window's middle.

    Args:
        label: `[B,H,W]` class of each rendered pixel.
        owner: `[B,M]` class that carries the border.
        middle: `[B,M,2]` column and row of the border.
    """
    offset = torch.arange(-WINDOW, WINDOW + 1, device=label.device)
    across = torch.stack(torch.meshgrid(offset, offset, indexing="xy"), dim=-1).flatten(0, 1)
    belongs = _at(label[..., None], middle[..., None, :].floor() + across)[..., 0] == owner[..., None]
    away = -(across * belongs[..., None]).sum(-2).float()
    return torch.nn.functional.normalize(away, dim=-1, eps=1e-6)


def share_profiles(shares: Tensor, start: Tensor, normal: Tensor) -> Tensor:
    """Shares `[B,M,2R,C]` of the classes along normals, at -R + 0.5, ..., R - 0.5 pixels, where R is `REACH`.

    Args:
        shares: `[B,H,W,C]` of each class in a pixel.
        start: `[B,M,2]` column and row, counted from the first pixel's centre.
        normal: `[B,M,2]` unit vectors.
    """
    along = torch.arange(-REACH, REACH, device=shares.device) + 0.5
    return _at(shares, start[..., None, :] + along[:, None] * normal[..., None, :])


def border_distances(profiles: Tensor, own: Tensor, against: Tensor, only_inward: Tensor) -> Tensor:
    """Signed distance `[B,M]` (pixels) along the normals by which borders between two sets of classes have to move, so
    that most pixels on the way are put right: those between come to show the first set, or, for a negative distance,
    the second. 0 where moving puts none right.

    A border does not go through pixels that would be wrong to a better place behind (see `BARRIER`): what follows is a
    border of another part. Pixels of classes in neither set are wrong either way, so they can be passed.

    Args:
        profiles: `[B,M,2R,C]` from `share_profiles`.
        own, against: bool `[B,M,C]` the classes before and behind the border.
        only_inward: bool `[B,M]`: nothing is known beyond the border.
    """
    sets = torch.stack([own, against], dim=-1).to(profiles)
    of_own, of_other = (profiles @ sets).unbind(-1)
    gain = of_own - of_other  # of a pixel that comes to show the first set
    up_to = gain.new_ones(REACH, REACH).triu()  # cumulative sums; torch's own are not deterministic on a GPU
    outward, inward = gain[..., REACH:] @ up_to, -gain[..., :REACH].flip(-1) @ up_to
    pixels = torch.arange(1, REACH + 1, device=profiles.device)
    scores = [
        torch.where(along.cummin(-1).values >= -BARRIER, along - PER_PIXEL * pixels, -torch.inf)
        for along in (outward, inward)
    ]
    none = torch.zeros_like(gain[..., :1])
    scores[0] = torch.where(only_inward[..., None], -torch.inf, scores[0])
    place = torch.cat([scores[1].flip(-1), none, scores[0]], dim=-1).argmax(-1, keepdim=True)  # 0 to 2R
    padded = torch.cat([none, gain, none], dim=-1)
    before, behind = padded.gather(-1, place), padded.gather(-1, place + 1)
    # The shares of the pixels on both sides say where between their centres the border is.
    within = torch.where((before > 0) & (behind < 0), before / (before - behind).clamp_min(1e-6) - 0.5, 0.0)
    return (place - REACH + within)[..., 0]


def _xy(place: Tensor, width: int) -> Tensor:
    """Column and row `[...,2]` of flat pixel indices."""
    return torch.stack([place % width, place // width], dim=-1).float()


def _at(image: Tensor, at: Tensor) -> Tensor:
    """Values `[B,...,C]` of images `[B,H,W,C]` in the pixels nearest to columns and rows `at [B,...,2]`."""
    height, width = image.shape[1:3]
    column, row = at.round().long().unbind(-1)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    view = torch.arange(len(image), device=image.device).view(-1, *[1] * (place.dim() - 1)) * (height * width)
    places = place + view
    return image.flatten(0, 2).index_select(0, places.flatten()).view(*places.shape, -1)
