"""What one step compares: views of the capture, and what the model shows in the same cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headfit.capture.views import ViewBatch
from headfit.render import CameraBatch, Fragments

#: A pixel's share (of 1) of background or of another class up to which its colour is compared.
MAX_OTHER_SHARE = 0.01
#: Least head area (pixels) by which a view's losses are divided.
MIN_AREA = 100.0


@dataclass(frozen=True)
class Observation:
    """B views of N frames, and the model in them.

    batch: the views `[B,H,W]`, cropped to the head in training. cameras: theirs, at the batch's size.
    frames: `[N]` indices of the distinct frames, ascending; frame_of_view `[B]`: index into them.
    v_frames `[N,V,3]`, v_views `[B,V,3]`: world vertices (metres). offsets `[Vc,3]`: the free offsets within them.
    fragments: what each pixel sees of the model.
    shown_classes: bool `[B,C]`: the view's mask shows the class.
    shown_as: `[B,C]` class as which each class of the model is compared in each view: see `FittedHead.shown_as`.
    hair_class: index of the class of hair, if there is one. What hair hides of the head is unknown: its pixels carry no
        loss of the head's own, whose outline hair would inflate. But beyond the hair there is background.
    """

    batch: ViewBatch
    cameras: CameraBatch
    frames: Tensor
    frame_of_view: Tensor
    v_frames: Tensor
    v_views: Tensor
    offsets: Tensor
    fragments: Fragments
    shown_classes: Tensor
    shown_as: Tensor
    hair_class: int | None
    normals_of: Callable[[Tensor], Tensor]

    @cached_property
    def frame_normals(self) -> Tensor:
        """Unit vertex normals `[N,V,3]` of the frames, world frame."""
        return self.normals_of(self.v_frames)

    @cached_property
    def normals(self) -> Tensor:
        """Unit vertex normals `[B,V,3]` of the views, world frame."""
        return self.frame_normals.index_select(0, self.frame_of_view)

    @property
    def target(self) -> Tensor:
        """`[B,H,W,C]` float, each class's share of a pixel in [0, 1]: `batch.label_prob`, which costs less to read."""
        return self.batch.label_prob.float() / 255

    @cached_property
    def labelled(self) -> Tensor:
        """Bool `[B,H,W]`: the mask says what the whole pixel shows, and the model does not end there."""
        return (self.batch.label_weight == 255) & ~self.fragments.below_neck

    @cached_property
    def hairless(self) -> Tensor:
        """Bool `[B,H,W]`: the pixel shows no hair by the mask."""
        if self.hair_class is None:
            return torch.ones_like(self.batch.image_valid)
        return self.batch.label_prob[..., self.hair_class] == 0

    @cached_property
    def mask_known(self) -> Tensor:
        """Bool `[B,H,W]`: the mask says what the whole pixel shows of the head itself."""
        return self.labelled & self.hairless

    @cached_property
    def has_mask(self) -> Tensor:
        """Bool `[B,1,1]`: the view has a mask."""
        return (self.batch.label_weight > 0).flatten(1).any(1)[:, None, None]

    def as_shown(self, classes: Tensor) -> Tensor:
        """Classes `[B,H,W]` of the model as they are compared in their view; negative values stay."""
        shown = self.shown_as.gather(1, classes.clamp_min(0).flatten(1)).view_as(classes)
        return shown.where(classes >= 0, classes)

    @cached_property
    def on_head(self) -> Tensor:
        """Bool `[B,H,W]`: an image pixel that shows the head by the model and, where there is a mask, neither
        background nor hair by it; what the mask ignores or does not know counts."""
        no_background = self.batch.label_prob[..., 0] < 255 * MAX_OTHER_SHARE
        by_mask = (no_background & self.hairless) | ~self.has_mask
        return self.fragments.head & self.batch.image_valid & by_mask

    def agrees(self, classes: Tensor) -> Tensor:
        """Bool `[B,H,W]`: the mask sees nothing but the classes with True in `classes [C]`; True without a mask, and
        where it does not know."""
        alone = self.batch.label_prob.float() @ classes.float() > 255 * (1 - MAX_OTHER_SHARE)
        return alone | self.batch.label_unknown | ~self.has_mask

    @cached_property
    def head_area(self) -> Tensor:
        """Pixels `[B]` that show the head: by the mask where it tells, else by the model within the picture."""
        valid = self.batch.image_valid
        by_model = self.fragments.head & (valid | ~valid.flatten(1).any(1)[:, None, None])
        by_mask = 1 - self.batch.label_prob[..., 0] / 255
        shown = by_mask.where(self.labelled, by_model.to(by_mask))
        return shown.sum((1, 2)).clamp_min(MIN_AREA)


@dataclass(frozen=True)
class ComparedColours:
    """Images `[B,H,W,3]` of some views, and the rendered colours where they are compared, 0 elsewhere; bool `[B,H,W]`:
    where they are, where colour and borders may move the geometry, and where colour alone may (it turns the eyes)."""

    image: Tensor
    colours: Tensor
    compared: Tensor
    lit: Tensor
    turning: Tensor

    @property
    def texture_only(self) -> Tensor:
        """Bool `[B,H,W]`: where the compared colours move no edges."""
        return self.compared & ~self.lit

    @property
    def rendered(self) -> Tensor:
        """The render `[B,H,W,3]` without gradients; the image itself where nothing is compared."""
        return torch.where(self.compared[..., None], self.colours.detach(), self.image)
