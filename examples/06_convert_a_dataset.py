"""Convert a dataset with other conventions into a capture that `headfit check` and `headfit fit` read.

The dataset: images `<camera>_<frame>.png` and `transforms.json`, with one camera-to-world matrix per camera, axes as in
OpenGL (x right, y up, z backward), millimetres, and one field of view for all.
"""

import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np

from headfit.capture import Camera
from headfit.capture.writer import CaptureWriter

FRAMES = ["0000", "0001"]


def main(folder: Path) -> None:
    """Make a tiny dataset in `folder/dataset` and convert it to `folder/capture`."""
    make_dataset(folder / "dataset")
    convert(folder / "dataset", folder / "capture")


def convert(dataset: Path, out: Path) -> None:
    """The dataset as a capture: metres, world to camera, OpenCV axes (x right, y down, z forward), corner pixels."""
    given = json.loads((dataset / "transforms.json").read_text())
    width, height, cameras = given["w"], given["h"], []
    focal = 0.5 * width / math.tan(0.5 * given["camera_angle_x"])
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    for name, matrix in given["cameras"].items():
        to_world = np.array(matrix) @ np.diag([1.0, -1, -1, 1])  # the same camera with OpenCV's axes
        R = to_world[:3, :3].T
        cameras.append(Camera(name, width, height, K, R, -R @ to_world[:3, 3] * 1e-3))
    with CaptureWriter(out, cameras, FRAMES, fps=25, labels={}) as writer:
        for c, camera in enumerate(cameras):
            for f, frame in enumerate(FRAMES):
                image = cv2.imread(str(dataset / f"{camera.id}_{frame}.png"))
                writer.image(c, f, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def make_dataset(dataset: Path) -> None:
    """Two cameras 1 m from the origin, which see a white dot at (0, 100, 20) mm."""
    dataset.mkdir(parents=True)
    front = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1000], [0, 0, 0, 1]]
    left = [[0, 0, 1, 1000], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]
    transforms = {"w": 96, "h": 128, "camera_angle_x": 0.6, "cameras": {"front": front, "left": left}}
    (dataset / "transforms.json").write_text(json.dumps(transforms))
    focal = 48 / math.tan(0.3)
    for name, (right, up, depth) in {"front": (0, 100, 980), "left": (-20, 100, 1000)}.items():
        dot = int(48 + focal * right / depth), int(64 - focal * up / depth)
        image = cv2.circle(np.zeros((128, 96, 3)), dot, radius=3, color=(255, 255, 255), thickness=-1)
        for frame in FRAMES:
            cv2.imwrite(str(dataset / f"{name}_{frame}.png"), image)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
