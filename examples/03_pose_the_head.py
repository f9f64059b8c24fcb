"""Pose the default head by the names of its expression units and joints, and draw it with the rasterizer alone."""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from headfit.head import HeadModel, load
from headfit.raster import interpolate, rasterize
from headfit.render.geometry import VertexNormals

SIZE = 320  # pixels
FOCAL = 1100.0  # pixels
DISTANCE = 0.9  # metres from the head's origin to the camera
LIGHT = torch.tensor([0.4, 0.5, 0.8])  # towards the light: the subject's left, up, front

#: Units run from 0 (rest) to 1 (full); a joint takes an axis-angle in radians, optionally a translation in metres.
POSES = {
    "at rest": {},
    "smile": {"units": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "cheekSquintLeft": 0.6}},
    "jaw open": {"joints": {"jaw": (0.4, 0, 0)}},
    "wink, pucker": {"units": {"eyeBlinkLeft": 1.0, "browDownLeft": 0.7, "mouthPucker": 0.9}},
}


def main(out: Path) -> None:
    """Draw the poses side by side to the file `out`."""
    head = load("default")
    images = []
    for name, pose in POSES.items():
        image = draw(head, head.pose(**pose))
        images.append(cv2.putText(image, name, (12, SIZE - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1, 16))
    cv2.imwrite(str(out), np.hstack(images))


def draw(head: HeadModel, vertices: Tensor) -> np.ndarray:
    """The head `[V,3]` (metres), shaded and coloured by label, seen from the front: BGR `[H,W,3]`, uint8."""
    # The head has y up and z front; a camera has y down and z away from it. Pixels are x / z and y / z.
    x, y, z = (vertices * torch.tensor([1.0, -1.0, -1.0]) + torch.tensor([0, 0, DISTANCE])).unbind(-1)
    v_pix = torch.stack([FOCAL * x / z + SIZE / 2, FOCAL * y / z + SIZE / 2, z], dim=-1)[None]

    index_img, bary, _ = rasterize(v_pix, head.faces, (SIZE, SIZE))
    normals = VertexNormals(head.faces, head.vertex_count)(vertices[None])
    normal = torch.nn.functional.normalize(interpolate(normals, head.faces, index_img, bary), dim=-1)
    shade = 0.35 + 0.65 * (normal @ torch.nn.functional.normalize(LIGHT, dim=0)).clamp_min(0)

    hue = np.linspace(0, 179, len(head.label_names), dtype=np.uint8)
    saturated = np.stack([hue, np.full_like(hue, 90), np.full_like(hue, 240)], axis=-1)
    colour_of_label = torch.from_numpy(cv2.cvtColor(saturated[None], cv2.COLOR_HSV2BGR)[0])
    colour = colour_of_label[head.face_labels[index_img.long()]] * (index_img >= 0)[..., None]
    return (colour * shade[..., None])[0].numpy().astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "poses.png"))
