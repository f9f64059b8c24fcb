"""The loss terms. Data terms are means over views of sums over pixels divided by the head's area in that view:
the share of the head that is wrong. So weights mean the same at any resolution, framing and number of cameras."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur `image [B,H,W,C]` with a Gaussian of `sigma` pixels, edges replicated."""
    radius = max(1, round(3 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (x / sigma).square())
    kernel = kernel / kernel.sum()
    planes = image.permute(0, 3, 1, 2)
    count = planes.shape[1]
    planes = F.pad(planes, (radius, radius, radius, radius), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    return planes.permute(0, 2, 3, 1)


def blurred_mask_loss(
    rendered: Tensor, target: Tensor, weight: Tensor, class_weight: Tensor, area: Tensor, blur: float
) -> Tensor:
    """Squared difference of blurred class images, per head area, averaged over views (`HeadRenderer.label_loss` is
    the one without a blur).

    A rendered class image is 0 or 1 at a sample while the target is the coverage of the pixel; both have the same
    mean over the sub-pixel position of the border, so the squared loss is unbiased. Blurring both sides equally lets
    borders that lie further apart than a pixel find each other.

    Args:
        rendered: one-hot class images `[B,H,W,C]` from `HeadRenderer.label_probabilities`.
        target: class coverage `[B,H,W,C]` in [0,1].
        weight: `[B,H,W]` in [0,1]; 0 where the mask says nothing or the model ends.
        class_weight: `[C]`.
        area: `[B]` head area in pixels.
        blur: standard deviation in pixels, > 0.
    """
    difference = gaussian_blur((rendered - target) * weight[..., None], blur)
    return share_of_head(difference.square() @ class_weight, area)


def colour_loss(rendered: Tensor, target: Tensor) -> Tensor:
    """Charbonnier difference `[B,H,W]` of colours `[B,H,W,3]`; `HeadRenderer.colour_loss` is it with edges."""
    return loss_of_pixels(rendered, target, *COLOUR_LOSS)


def share_of_head(each: Tensor, area: Tensor) -> Tensor:
    """Losses of pixels `[B,H,W]`, summed per head area `[B]` (pixels), mean over views."""
    return (each.sum((1, 2)) / area).mean()


def continued(image: Tensor, where: Tensor) -> Tensor:
    """`image [B,H,W,3]` outside of `where [B,H,W]`: the mean of those of the eight neighbours that are inside, or 0."""
    inside = where[..., None].to(image)
    return _three_by_three(image * inside) / _three_by_three(inside).clamp_min(1.0)


def _three_by_three(image: Tensor) -> Tensor:
    """Sums over each pixel of `image [B,H,W,C]` and its eight neighbours, 0 beyond the border."""
    for dim in (1, 2):
        length = image.shape[dim]
        total = image.clone()
        total.narrow(dim, 1, length - 1).add_(image.narrow(dim, 0, length - 1))
        total.narrow(dim, 0, length - 1).add_(image.narrow(dim, 1, length - 1))
        image = total
    return image


def landmark_loss(points: Tensor, target: Tensor, weight: Tensor, area: Tensor, scale: float = 0.007) -> Tensor:
    """Pseudo-Huber distance of image points, relative to the head's size sqrt(area); mean over views and points.

    Args:
        points, target: `[B,68,2]` pixels.
        weight: `[B,68]`, 0 for missing or invisible points.
        area: `[B]` head area in pixels.
        scale: where the loss turns from quadratic to linear, as a share of the head's size (0.007: 2 px of 290).
    """
    r2 = (points - target).square().sum(-1) / area[:, None]
    huber = scale * ((r2 + scale**2).sqrt() - scale)
    return (huber * weight).sum() / weight.sum().clamp_min(1.0)


#: Standard deviations at which the identity prior turns from quadratic to linear.
LOOSE_SIGMAS = 3.0


def identity_prior(identity: Tensor) -> Tensor:
    """Mean cost of components `[I]`, which count in standard deviations of the heads that the basis came from: their
    square where they are usual, growing linearly beyond (pseudo-Huber).

    A Gaussian would be honest for a basis of scans that the person belongs to. Ours comes from an artist's sliders,
    whose spread is a guess: a scan-based head, registered to it, lies up to 2.7 of its standard deviations out.
    """
    return 2 * LOOSE_SIGMAS**2 * ((1 + (identity / LOOSE_SIGMAS).square()).sqrt() - 1).sum() / max(1, len(identity))


def expression_prior(expression: Tensor, lowest: Tensor) -> Tensor:
    """Units `[N,E]` are activations: small is likely, below `lowest [E]` or above 1 is hardly ever meant.

    One square for all, because full activation lies three standard deviations out: of statistical components by their
    scale (adapters/imported.py), of an artist's units by experience (in a speaking face those that move at all have an
    rms of 0.28). Outside of their range the cost rises 21 times as steeply, and `FitParameters.clamp` ends it.
    """
    outside = F.relu(lowest - expression) + F.relu(expression - 1)
    return (expression.square() + 20 * outside.square()).sum(-1).mean()
