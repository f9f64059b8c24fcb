"""Some pixels of a batch of images as a list: what only they need is computed for them alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.raster import backend


@dataclass(frozen=True)
class Pixels:
    """N pixels of B images `[H,W]`, view after view, row after row.

    index: `[N]` into B*H*W, ascending; None: all pixels. of_view: how many of them each image has. area: H*W.
    """

    index: Tensor | None
    of_view: list[int]
    area: int

    @classmethod
    def where(cls, mask: Tensor) -> Pixels:
        """The pixels with True in `mask [B,H,W]`; counting them waits for a GPU."""
        return cls(mask.flatten().nonzero()[:, 0], mask.flatten(1).sum(1).tolist(), mask[0].numel())

    @classmethod
    def at_least(cls, mask: Tensor) -> Pixels:
        """The pixels with True in `mask [B,H,W]`; on a GPU all, so that nothing waits for their number."""
        if not backend.is_asynchronous(mask.device):
            return cls.where(mask)
        return cls(None, [mask[0].numel()] * len(mask), mask[0].numel())

    def take(self, image: Tensor) -> Tensor:
        """The pixels `[N,...]` of `image [B,H,W,...]`."""
        flat = image.flatten(0, 2)
        return flat if self.index is None else flat.index_select(0, self.index)

    def put(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """`image [B,H,W,C]` with `values [N,C]` at those of the pixels that have True in `mask [B,H,W]`."""
        if self.index is None:
            return torch.where(mask[..., None], values.view_as(image), image)
        flat = image.flatten(0, 2)
        chosen = torch.where(self.take(mask)[:, None], values, self.take(image))
        return flat.index_copy(0, self.index, chosen).view_as(image)

    def per_view(self, values: Tensor) -> Tensor:
        """`values [B,...]` of the images, for each of the pixels: `[N,...]`."""
        if self.index is None:
            return values[:, None].expand(-1, self.area, *values.shape[1:]).flatten(0, 1)
        return values[self.index // self.area]
