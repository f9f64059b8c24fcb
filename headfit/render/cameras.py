"""Cameras as tensors: differentiable projection through each camera's lens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headfit.capture.camera import Camera
from headfit.capture.lenses import Lens

#: Depths nearer than this (metres) are not divided by; the rasterizer clips them anyway.
MIN_DEPTH = 1e-4


@dataclass(frozen=True)
class CameraBatch:
    """B cameras of one image size.

    Attributes:
        K, R: `[B,3,3]`; t: `[B,3]` metres. OpenCV axes, `x_cam = R x_world + t`, pixel coordinates from the image's
            top-left corner.
        lens: the cameras' lenses; None if none of them distorts.
        size: height and width in pixels.
    """

    K: Tensor
    R: Tensor
    t: Tensor
    lens: Lens | _MixedLenses | None
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        cameras: Sequence[Camera],
        device: torch.device | str = "cpu",
        size: tuple[int, int] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> CameraBatch:
        """A batch of cameras for images of one size.

        Args:
            cameras: B of them.
            device, dtype: of the tensors.
            size: image height and width; default: those that all cameras have.

        Raises:
            ValueError: no `size` is given and the cameras' sizes differ.
        """
        sizes = {(camera.height, camera.width) for camera in cameras} if size is None else {size}
        if len(sizes) != 1:
            raise ValueError(f"cameras of one batch must share one image size, got {sorted(sizes)}")

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=dtype).to(device, non_blocking=True)

        lenses = [camera.lens for camera in cameras]
        return cls(
            K=tensor(np.stack([camera.K for camera in cameras])),
            R=tensor(np.stack([camera.R for camera in cameras])),
            t=tensor(np.stack([camera.t for camera in cameras])),
            lens=None if all(lens.is_pinhole for lens in lenses) else _stack(lenses, tensor),
            size=sizes.pop(),
        )

    def __getitem__(self, index: Tensor) -> CameraBatch:
        lens = None if self.lens is None else self.lens[index]
        return CameraBatch(self.K[index], self.R[index], self.t[index], lens, self.size)

    def centres(self) -> Tensor:
        """Optical centres `[B,3]` in the world, metres."""
        return -(self.R.transpose(1, 2) @ self.t[..., None])[..., 0]

    def project(self, v_world: Tensor) -> Tensor:
        """`v_pix [B,V,3]` of world points `[B,V,3]` (metres): x, y in pixels from the corner, z the depth in metres."""
        # Points as columns [B,3,V]: torch's products of 3 x 3 matrices with rows of points are several times slower.
        x, y, z = torch.baddbmm(self.t[..., None], self.R, v_world.transpose(1, 2)).unbind(1)
        safe = torch.where(z.abs() < MIN_DEPTH, MIN_DEPTH, z)
        u, v = (x / safe, y / safe) if self.lens is None else self.lens.project(x, y, safe)
        pixels = torch.baddbmm(self.K[:, :2, 2:], self.K[:, :2, :2], torch.stack([u, v], 1))
        return torch.cat([pixels, z[:, None]], 1).transpose(1, 2).contiguous()


def _stack(lenses: Sequence[Lens], tensor: Callable[[np.ndarray], Tensor]) -> Lens | _MixedLenses:
    if len({type(lens) for lens in lenses}) == 1:
        return type(lenses[0]).stack(lenses, tensor)
    return _MixedLenses([type(lens).stack([lens], tensor) for lens in lenses])


class _MixedLenses:
    """Lenses of several models, one per camera."""

    def __init__(self, lenses: Sequence[Lens]) -> None:
        self.lenses = lenses

    def __getitem__(self, index: Tensor) -> _MixedLenses:
        return _MixedLenses([self.lenses[i] for i in index.tolist()])

    def project(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Image-plane coordinates of camera coordinates `[B,V]`, row b projected through lens b."""
        rows = [lens.project(x[b, None], y[b, None], z[b, None]) for b, lens in enumerate(self.lenses)]
        return torch.cat([u for u, _ in rows]), torch.cat([v for _, v in rows])
