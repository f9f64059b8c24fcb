"""Cameras as tensors: the projection of vertices, with lens distortion, differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from headfit.capture.camera import Camera

#: Depths nearer than this (metres) are not divided by; the rasterizer clips them anyway.
MIN_DEPTH = 1e-4


def _distortion_limit(dist: np.ndarray) -> float:
    """The squared radius up to which the radial polynomial is monotone (OpenCV model).

    r (1 + k1 r2 + k2 r4 + k3 r6) folds back where its derivative 1 + 3 k1 s + 5 k2 s2 + 7 k3 s3 (s = r2) has its
    first positive root. Beyond it a vertex far outside the picture would reappear inside.
    """
    k1, k2, k3 = dist[0], dist[1], dist[4]
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    real = [r.real for r in roots if abs(r.imag) < 1e-9 and r.real > 0]
    return min(real) if real else np.inf


@dataclass(frozen=True)
class CameraBatch:
    """B cameras of one image size.

    K, R `[B,3,3]`, t `[B,3]`, dist `[B,5]` (k1, k2, p1, p2, k3), limit `[B]` (largest squared radius at which
    the distortion is applied). OpenCV axes, x_cam = R x_world + t, pixel coordinates from the top-left corner.
    """

    K: Tensor
    R: Tensor
    t: Tensor
    dist: Tensor
    limit: Tensor
    size: tuple[int, int]  # H, W

    @classmethod
    def of(
        cls,
        cameras: Sequence[Camera],
        device: torch.device | str = "cpu",
        size: tuple[int, int] | None = None,
    ) -> CameraBatch:
        """Stack cameras for images of one `size` [H,W]; by default the one that all of them have.

        Raises ValueError when they have several.
        """
        sizes = {(c.height, c.width) for c in cameras} if size is None else {size}
        if len(sizes) != 1:
            raise ValueError(f"cameras of one batch must share one image size, got {sorted(sizes)}")

        def stack(values: list[np.ndarray]) -> Tensor:
            return torch.as_tensor(np.stack(values), dtype=torch.float32, device=device)

        return cls(
            K=stack([c.K for c in cameras]),
            R=stack([c.R for c in cameras]),
            t=stack([c.t for c in cameras]),
            dist=stack([c.dist for c in cameras]),
            limit=stack([np.asarray(_distortion_limit(c.dist)) for c in cameras]),
            size=sizes.pop(),
        )

    def __getitem__(self, index: Tensor) -> CameraBatch:
        tensors = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "size"}
        return CameraBatch(size=self.size, **tensors)

    def centres(self) -> Tensor:
        """Optical centres `[B,3]` in the world (metres)."""
        return -(self.R.transpose(1, 2) @ self.t[..., None])[..., 0]

    def project(self, v_world: Tensor) -> Tensor:
        """World points `[B,V,3]` (metres) to `v_pix [B,V,3]`: x, y in pixels from the corner, z depth in metres."""
        v_cam = v_world @ self.R.transpose(1, 2) + self.t[:, None]
        z = v_cam[..., 2:]
        safe = torch.where(z.abs() < MIN_DEPTH, torch.full_like(z, MIN_DEPTH), z)
        xy = self._distort(v_cam[..., :2] / safe) if bool((self.dist != 0).any()) else v_cam[..., :2] / safe
        x_pix = xy @ self.K[:, :2, :2].transpose(1, 2) + self.K[:, None, :2, 2]
        return torch.cat([x_pix, z], dim=-1)

    def _distort(self, xy: Tensor) -> Tensor:
        """OpenCV's 5-parameter model on normalised coordinates `[B,V,2]`, linear beyond its valid radius."""
        k1, k2, p1, p2, k3 = (self.dist[:, None, i] for i in range(5))
        x, y = xy.unbind(-1)
        r2 = torch.minimum(x * x + y * y, self.limit[:, None])
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        inside = (x * x + y * y <= self.limit[:, None]).to(x)
        dx = inside * (2 * p1 * x * y + p2 * (r2 + 2 * x * x))
        dy = inside * (p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)
        return torch.stack([x * radial + dx, y * radial + dy], dim=-1)
