"""Some pixels of a batch of images as a list: what only they need is computed for them alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """N pixels of B images `[H,W]`, view after view, row after row.

    index: `[N]` into B*H*W, ascending. area: H*W.
    """

    index: Tensor
    area: int

    @classmethod
    def where(cls, mask: Tensor) -> Pixels:
        """The pixels with True in `mask [B,H,W]`; counting them waits for a GPU."""
        return cls(mask.flatten().nonzero()[:, 0], mask[0].numel())

    def take(self, image: Tensor) -> Tensor:
        """The pixels `[N,...]` of `image [B,H,W,...]`."""
        return image.flatten(0, 2).index_select(0, self.index)

    def put(self, image: Tensor, values: Tensor) -> Tensor:
        """`image [B,H,W,C]` with `values [N,C]` at these pixels."""
        return torch.index_copy(image.flatten(0, 2), 0, self.index, values).view_as(image)

    def per_view(self, values: Tensor) -> Tensor:
        """`values [B,...]` of the images, for each of the pixels: `[N,...]`."""
        return values[self.index // self.area]
