"""Cameras as tensors: the projection of vertices through each camera's lens, differentiable."""

from __future__ import annotations

from collections.abc import Sequence
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
    """B cameras of one image size and one lens model.

    Attributes:
        K, R: `[B,3,3]`; t: `[B,3]` metres. OpenCV axes, `x_cam = R x_world + t`, pixel coordinates from the image's
            top-left corner.
        lens: the cameras' lenses as one stack; None when none of them distorts.
        size: height and width in pixels.
    """

    K: Tensor
    R: Tensor
    t: Tensor
    lens: Lens | None
    size: tuple[int, int]

    @classmethod
    def of(
        cls, cameras: Sequence[Camera], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> CameraBatch:
        """Stack cameras. Raises ValueError when they differ in image size or lens model."""
        sizes = {(camera.height, camera.width) for camera in cameras}
        if len(sizes) != 1:
            raise ValueError(f"cameras of one batch must share one image size, got {sorted(sizes)}")
        models = {type(camera.lens) for camera in cameras}
        if len(models) != 1:
            names = sorted(model.name for model in models)
            raise ValueError(f"cameras of one batch must share one lens model, got {names}")

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=device)

        lenses = [camera.lens for camera in cameras]
        return cls(
            K=tensor(np.stack([camera.K for camera in cameras])),
            R=tensor(np.stack([camera.R for camera in cameras])),
            t=tensor(np.stack([camera.t for camera in cameras])),
            lens=None if all(lens.is_pinhole for lens in lenses) else models.pop().stack(lenses, tensor),
            size=sizes.pop(),
        )

    def __getitem__(self, index: Tensor) -> CameraBatch:
        lens = None if self.lens is None else self.lens[index]
        return CameraBatch(self.K[index], self.R[index], self.t[index], lens, self.size)

    def centres(self) -> Tensor:
        """Optical centres `[B,3]` in the world, metres."""
        return -(self.R.transpose(1, 2) @ self.t[..., None])[..., 0]

    def project(self, v_world: Tensor) -> Tensor:
        """World points `[B,V,3]` (metres) to `v_pix [B,V,3]`: x, y in pixels from the corner, z the depth in metres."""
        v_cam = v_world @ self.R.transpose(1, 2) + self.t[:, None]
        z = v_cam[..., 2:]
        safe = torch.where(z.abs() < MIN_DEPTH, torch.full_like(z, MIN_DEPTH), z)
        if self.lens is None:
            uv = v_cam[..., :2] / safe
        else:
            uv = torch.stack(self.lens.project(v_cam[..., 0], v_cam[..., 1], safe[..., 0]), dim=-1)
        x_pix = uv @ self.K[:, :2, :2].transpose(1, 2) + self.K[:, None, :2, 2]
        return torch.cat([x_pix, z], dim=-1)
