"""Draws docs/pictures/gradient.jpg: the gradient of a head that was rendered a little to the left of its target.

Run: python -m tests.gradients.picture FILE
"""

import sys

import cv2
import numpy as np
import torch
from torch import Tensor

from headfit.raster import edge_grad
from tests.gradients.harness import Scene, render
from tests.gradients.heads import whole
from tests.gradients.scenes import waves

SHIFT = 3.0  # pixels
SIZE = 256
ENLARGED = 2


def main(path: str) -> None:
    scene = whole(SIZE).smooth(lambda h, w: torch.zeros_like(waves(h, w)))
    v_pix = scene.vertices[None].float().requires_grad_()
    image, mesh = render(scene, v_pix, scene.size)
    with torch.no_grad():
        moved, _ = render(scene, v_pix + torch.tensor([SHIFT, 0, 0]), scene.size)
    mask, moved_mask = ((x.detach() != 0).any(-1, keepdim=True).float() for x in (image, moved))
    losses = {
        "mask": (edge_grad(mask, **mesh) - moved_mask).square(),
        "colour, within faces only": (image - moved).square(),
        "colour, with edges": (edge_grad(image, **mesh) - moved).square(),
    }
    panels = [labelled("rendered | target", overlay(image.detach()[0], moved[0]))]
    for name, loss in losses.items():
        (grad,) = torch.autograd.grad(loss.sum(), v_pix, retain_graph=True)
        panels.append(labelled(name, wishes(scene, -grad[0, :, 0], mask[0])))
    cv2.imwrite(path, np.concatenate(panels, 1), [cv2.IMWRITE_JPEG_QUALITY, 88])


def overlay(image: Tensor, moved: Tensor) -> np.ndarray:
    """The rendered image left of the face's middle, the target right of it."""
    both = image.clone()
    both[:, SIZE // 2 :] = moved[:, SIZE // 2 :]
    return enlarge(both.numpy())


def wishes(scene: Scene, wish: Tensor, mask: Tensor) -> np.ndarray:
    """-dL/dx of all vertices, summed per pixel: red to the right, blue to the left."""
    x, y = scene.vertices[:, :2].long().clamp(0, SIZE - 1).unbind(-1)
    field = torch.zeros(SIZE, SIZE).index_put_((y, x), wish, accumulate=True).numpy()
    field = cv2.GaussianBlur(field, None, 1.0)
    strength = np.clip(field / 0.35, -1, 1)[..., None]
    grey = 1 - 0.15 * mask.numpy()
    colour = np.where(strength > 0, [0.85, 0.1, 0.1], [0.1, 0.2, 0.9])
    return enlarge(grey + np.abs(strength) * (colour - grey))


def enlarge(rgb: np.ndarray) -> np.ndarray:
    big = cv2.resize(rgb.astype(np.float32), None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_NEAREST)
    return (255 * big[..., ::-1]).clip(0, 255).astype(np.uint8)


def labelled(text: str, panel: np.ndarray) -> np.ndarray:
    bar = np.full((32, panel.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, text, (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, panel], 0)


if __name__ == "__main__":
    main(sys.argv[1])
