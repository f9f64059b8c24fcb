"""Copy a capture with the defects of real ones: smaller, distorted, blurred, noisy, with gaps and damaged files.

    python tests/benchmarks/degrade.py CAPTURE OUT [--scale .667] [--k1 -.18] [--noise 3] ...

The result depends only on the seed. The ground truth is copied, so that a fit to the copy can be scored. With wrong
masks, the true ones are in `gt/masks_true`, where ablation.py looks; `headfit evaluate` compares with the wrong ones.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from headfit.capture import Camera, open_capture
from headfit.capture.lenses import OpenCVLens
from headfit.capture.writer import CaptureWriter

JPEG_QUALITY = 90


def lookup(camera: Camera, target: Camera) -> np.ndarray:
    """Positions `[H,W,2]` in the image of `camera` of the pixels of `target`, which differs in lens and size only."""
    y, x = np.mgrid[: target.height, : target.width] + 0.5
    pixels = camera.to_pixels(target.rays(np.stack([x, y], axis=-1)))
    return (pixels - 0.5).astype(np.float32)  # OpenCV's origin is the first pixel's centre


def degrade(args: argparse.Namespace) -> None:
    capture = open_capture(args.capture)
    draw = np.random.default_rng(args.seed)
    lens = OpenCVLens.of([args.k1, 0.02, 0.0005, -0.0005])
    targets = [replace(camera.scaled(args.scale), lens=lens) for camera in capture.cameras]
    calibrated = [_miscalibrated(target, draw.normal(size=2) * args.calibration) for target in targets]
    frames = len(capture.frames)
    images: list[Path] = []
    with CaptureWriter(
        args.out, calibrated, capture.frames, capture.fps, capture.label_names, jpeg_quality=JPEG_QUALITY
    ) as writer:
        for index, target in enumerate(tqdm(targets, desc="degrade", unit="camera")):
            at = lookup(capture.cameras[index], target)
            drops = set(draw.choice(frames, frames // 4, replace=False)) if index == args.dropping_camera else set()
            for frame in range(frames):
                image = capture.image(index, frame)
                if image is not None and frame not in drops:
                    blurred = cv2.GaussianBlur(image, (0, 0), args.blur / args.scale)
                    small = cv2.remap(blurred, at, None, cv2.INTER_LINEAR)
                    noisy = small + draw.normal(size=small.shape) * args.noise
                    images.append(writer.image(index, frame, np.clip(noisy, 0, 255).astype(np.uint8)))
                mask = capture.mask(index, frame)
                if mask is not None and frame not in drops and draw.random() >= args.missing_masks:
                    true = cv2.remap(mask, at, None, cv2.INTER_NEAREST)
                    shown = true
                    if args.wrong_masks and draw.random() < args.wrong_masks:
                        other = capture.mask(index, (frame + max(1, frames // 2)) % frames)
                        shown = true if other is None else cv2.remap(other, at, None, cv2.INTER_NEAREST)
                    file = writer.mask(index, frame, shown)
                    if args.wrong_masks:
                        write_true_mask(args.out / "gt/masks_true" / file.relative_to(args.out / "masks"), true)
                landmarks = capture.landmarks(index, frame) if args.landmarks else None
                if landmarks is not None:
                    landmarks[:, :2] = target.to_pixels(capture.cameras[index].rays(landmarks[:, :2]))
                    writer.landmarks(index, frame, landmarks)
        copy_ground_truth(Path(capture.location) / "gt", capture.metres_per_unit, writer)
        for path in draw.choice(np.array(sorted(images), dtype=object), args.torn, replace=False):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_true_mask(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), mask):
        raise OSError(f"{path}: cannot be written")


def _miscalibrated(camera: Camera, wrong_by: np.ndarray) -> Camera:
    """The camera with its principal point shifted by `wrong_by [2]` pixels."""
    K = camera.K.copy()
    K[:2, 2] += wrong_by
    return replace(camera, K=K)


def copy_ground_truth(folder: Path, metres_per_unit: float, writer: CaptureWriter) -> None:
    """Copy the meshes of a native capture with all their arrays, in metres."""
    if not folder.exists():
        return
    writer.topology(**np.load(folder / "topology.npz"))
    for frame, name in enumerate(writer.frames):
        if (folder / f"{name}.npz").exists():
            arrays = dict(np.load(folder / f"{name}.npz"))
            writer.ground_truth(frame, arrays.pop("vertices") * metres_per_unit, **arrays)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=2 / 3, help="of the image size")
    parser.add_argument("--k1", type=float, default=-0.18, help="radial distortion")
    parser.add_argument("--blur", type=float, default=0.5, help="standard deviation, pixels of the copy")
    parser.add_argument("--noise", type=float, default=3.0, help="standard deviation, grey levels")
    parser.add_argument("--calibration", type=float, default=0.0, help="error of principal points, pixels of the copy")
    parser.add_argument("--missing-masks", type=float, default=0.2, help="share of masks left out")
    parser.add_argument(
        "--wrong-masks", type=float, default=0.0, help="share of masks that are another frame's, where it has one"
    )
    parser.add_argument("--torn", type=int, default=3, help="images cut in half")
    parser.add_argument("--dropping-camera", type=int, default=1, help="index of a camera that drops frames; -1: none")
    parser.add_argument("--landmarks", action="store_true", help="keep the landmarks")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    degrade(parse())
