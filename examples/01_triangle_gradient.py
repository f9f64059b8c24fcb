"""The gradient of a silhouette: how the area of a rasterized triangle changes when its corners move.

A white triangle on black, rasterized without antialiasing. Its image is constant almost everywhere, so autograd alone
finds no gradient. `edge_grad` adds what the moving silhouette contributes; here it is compared with the exact answer.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from headfit.raster import edge_grad, rasterize

SIZE = 64  # pixels
ARROW = 0.35  # length of an arrow in pixels, per unit of gradient


def main(out: Path) -> float:
    """Draw the triangle and its gradient to the file `out`; returns the relative error of the gradient."""
    # One image, three vertices (x, y, depth): pixels from the top-left corner, and 1 unit in front of the camera.
    v_pix = torch.tensor([[[9.3, 12.1, 1.0], [54.2, 22.6, 1.0], [24.7, 55.4, 1.0]]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)

    index_img, _, _ = rasterize(v_pix, faces, (SIZE, SIZE))  # which face each pixel sees, -1 for none
    image = (index_img >= 0).float()[..., None]  # [1,H,W,1]
    image = edge_grad(image, v_pix, faces, index_img)  # same values, but now they depend on v_pix

    area = image.sum()
    area.backward()
    gradient = v_pix.grad[0, :, :2]

    # A corner moves the area by half the length of the opposite side, at right angles to it.
    corners = v_pix.detach()[0, :, :2]
    side = corners.roll(-2, 0) - corners.roll(-1, 0)
    exact = 0.5 * torch.stack([-side[:, 1], side[:, 0]], dim=1)
    error = float((gradient - exact).norm() / exact.norm())
    print(f"area {area:.0f} pixels, gradient\n{gradient.numpy().round(2)}\nexact\n{exact.numpy().round(2)}")

    draw(out, image.detach()[0, :, :, 0].numpy(), corners.numpy(), gradient.numpy())
    return error


def draw(out: Path, image: np.ndarray, corners: np.ndarray, gradient: np.ndarray, zoom: int = 8) -> None:
    """The image, enlarged, with an arrow from each corner to where the area grows fastest."""
    canvas = cv2.cvtColor(np.kron(image * 160, np.ones((zoom, zoom))).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    for corner, direction in zip(corners, gradient, strict=True):
        start, end = (tuple((p * zoom).round().astype(int).tolist()) for p in (corner, corner + ARROW * direction))
        cv2.arrowedLine(canvas, start, end, (60, 160, 255), 3, cv2.LINE_AA)
    cv2.imwrite(str(out), canvas)


if __name__ == "__main__":
    print(f"relative error {main(Path(sys.argv[1] if len(sys.argv) > 1 else 'triangle.png')):.1%}")
