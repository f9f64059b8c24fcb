"""Fit a mesh to a silhouette: a disc becomes a heart, by gradient descent through the rasterizer.

Only a mask is compared, so all of the gradient comes from the silhouette: without `edge_grad` nothing would move.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from headfit.raster import edge_grad, rasterize

SIZE = 96  # pixels
RIM = 72  # vertices of the disc's rim
STEPS = 150
SMOOTHNESS = 0.3  # weight of the rim's bending against the mask


def main(out: Path) -> float:
    """Draw target, start and result to the file `out`; returns the intersection over union of result and target."""
    angle = torch.arange(RIM) * (2 * torch.pi / RIM)
    disc = SIZE * (0.5 + 0.2 * torch.stack([angle.sin(), angle.cos()], dim=1))
    faces = torch.stack([torch.full((RIM,), RIM), torch.arange(RIM), torch.arange(1, RIM + 1) % RIM], dim=1).int()
    target = heart()

    rim = disc.clone().requires_grad_()
    optimizer = torch.optim.Adam([rim], lr=0.5)
    for _ in range(STEPS):
        loss = (render(rim, faces) - target).square().sum()
        bending = (rim.roll(1, 0) - 2 * rim + rim.roll(-1, 0)).square().sum()
        optimizer.zero_grad()
        (loss + SMOOTHNESS * bending).backward()
        optimizer.step()

    result = render(rim.detach(), faces)
    row = np.hstack([mask[0, :, :, 0] for mask in (target, render(disc, faces), result)])
    cv2.imwrite(str(out), np.kron(row * 255, np.ones((3, 3))).astype(np.uint8))
    return float((result * target).sum() / (result + target).clamp(max=1).sum())


def render(rim: Tensor, faces: Tensor) -> Tensor:
    """The mask `[1,H,W,1]` of a fan of triangles from the centre of the rim `[N,2]`, pixels."""
    corners = torch.cat([rim, rim.mean(0, keepdim=True)])
    v_pix = torch.cat([corners, torch.ones(len(corners), 1)], dim=1)[None]
    index_img, _, _ = rasterize(v_pix, faces, (SIZE, SIZE))
    return edge_grad((index_img >= 0).float()[..., None], v_pix, faces, index_img)


def heart() -> Tensor:
    """The target mask `[1,H,W,1]`: inside of (x² + y² - 1)³ = x² y³."""
    x = torch.linspace(-1.4, 1.4, SIZE)
    y = -x[:, None]
    return ((x**2 + y**2 - 1) ** 3 < x**2 * y**3).float()[None, ..., None]


if __name__ == "__main__":
    print(f"IoU {main(Path(sys.argv[1] if len(sys.argv) > 1 else 'heart.png')):.3f}")
