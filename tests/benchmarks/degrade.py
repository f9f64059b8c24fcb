"""A copy of a capture as captures really are: smaller, through a lens, blurred, noisy, with gaps and broken files.

    python tests/benchmarks/degrade.py CAPTURE OUT [--scale .667] [--k1 -.18] [--noise 3] ...

Everything is drawn from one seed. Ground truth is copied, so a fit to the copy can be scored.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from headfit.capture import Camera, open_capture
from headfit.capture.camera import distort

JPEG_QUALITY = 90


def seen_through(camera: Camera, target: Camera) -> np.ndarray:
    """Where each pixel of `target` looks in the picture of `camera`, which differs in lens and size only: `[h,w,2]`."""
    y, x = np.mgrid[: target.height, : target.width] + 0.5
    plane = target.to_plane(np.stack([x, y], axis=-1))
    pixels = distort(plane, camera.dist) @ camera.K[:2, :2].T + camera.K[:2, 2]
    return (pixels - 0.5).astype(np.float32)  # OpenCV's origin is the first pixel's centre


def point_seen_through(camera: Camera, target: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels `[N,2]` of `camera` in the picture of `target`."""
    return distort(camera.to_plane(points), target.dist) @ target.K[:2, :2].T + target.K[:2, 2]


def degrade(args: argparse.Namespace) -> None:
    capture = open_capture(args.capture)
    draw = np.random.default_rng(args.seed)
    manifest = json.loads((args.capture / "capture.json").read_text())
    args.out.mkdir(parents=True)
    frames = len(capture.frames)
    for index, camera in enumerate(tqdm(capture.cameras, desc="degrade", unit="camera")):
        target = replace(camera.scaled(args.scale), dist=np.array([args.k1, 0.02, 0.0005, -0.0005, 0.0]))
        entry = manifest["cameras"][index]
        wrong_by = draw.normal(size=2) * args.calibration
        entry |= {"width": target.width, "height": target.height, "dist": target.dist.tolist()}
        entry["K"] = (target.K + np.array([[0, 0, wrong_by[0]], [0, 0, wrong_by[1]], [0, 0, 0]])).tolist()
        look = seen_through(camera, target)
        for kind in ("images", "masks", "landmarks"):
            (args.out / kind / camera.id).mkdir(parents=True)
        drops = set(draw.choice(frames, frames // 4, replace=False)) if index == args.dropping_camera else set()
        for frame, name in enumerate(capture.frames):
            image = capture.image(index, frame)
            if image is not None and frame not in drops:
                small = cv2.remap(cv2.GaussianBlur(image, (0, 0), args.blur / args.scale), look, None, cv2.INTER_LINEAR)
                noisy = small + draw.normal(size=small.shape) * args.noise
                path = args.out / "images" / camera.id / f"{name}.jpg"
                bgr = np.clip(noisy, 0, 255).astype(np.uint8)[..., ::-1]
                cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            mask = capture.mask(index, frame)
            if mask is not None and frame not in drops and draw.random() >= args.missing_masks:
                path = args.out / "masks" / camera.id / f"{name}.png"
                cv2.imwrite(str(path), cv2.remap(mask, look, None, cv2.INTER_NEAREST))
            points = capture.landmarks(index, frame) if args.landmarks else None
            if points is not None:
                points[:, :2] = point_seen_through(camera, target, points[:, :2])
                path = args.out / "landmarks" / camera.id / f"{name}.json"
                path.write_text(json.dumps({"scheme": "ibug68", "points": points.round(3).tolist()}))
    images = sorted((args.out / "images").rglob("*.jpg"))
    for path in draw.choice(np.array(images, dtype=object), args.torn, replace=False):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (args.out / "capture.json").write_text(json.dumps(manifest))
    if (args.capture / "gt").exists():
        shutil.copytree(args.capture / "gt", args.out / "gt")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=2 / 3, help="of the picture's size")
    parser.add_argument("--k1", type=float, default=-0.18, help="radial distortion")
    parser.add_argument("--blur", type=float, default=0.5, help="standard deviation, pixels of the copy")
    parser.add_argument("--noise", type=float, default=3.0, help="standard deviation, grey levels")
    parser.add_argument("--calibration", type=float, default=0.0, help="error of principal points, pixels of the copy")
    parser.add_argument("--missing-masks", type=float, default=0.2, help="share of masks left out")
    parser.add_argument("--torn", type=int, default=3, help="images cut in half")
    parser.add_argument("--dropping-camera", type=int, default=1, help="index of a camera that drops frames; -1: none")
    parser.add_argument("--landmarks", action="store_true", help="keep the landmarks")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    degrade(parse())
