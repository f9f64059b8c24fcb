"""`headfit evaluate`: how well a run explains its capture, as a table and as metrics.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from headfit.capture import DamagedFile, label_classes
from headfit.capture.labels import IGNORED
from headfit.errors import HeadfitError
from headfit.evaluate.distances import parse_region, part_regions, surface_distances
from headfit.evaluate.ground_truth import GroundTruth
from headfit.evaluate.metrics import LabelOverlap, psnr, ssim

if TYPE_CHECKING:
    from headfit.fitting.run import Run

_BACKGROUND = 0  # class 0 of every LabelClasses

# Classes reported together besides on their own, where a model and a capture tell them apart.
_UNIONS = {
    "eyes": ("left_eye", "right_eye"),
    "lips": ("upper_lip", "lower_lip"),
    "teeth": ("upper_teeth", "lower_teeth"),
}


def evaluate(run: Run, regions: Sequence[str] = ()) -> dict[str, Any]:
    """Score a run against its capture and write `metrics.json` into the run folder.

    regions: `NAME=START:STOP`, ranges of ground-truth vertices to report besides the parts.
    Returns what it wrote:
        pictures: for `held_out` and `training` cameras, PSNR (dB) and SSIM inside the head, mean over views
        iou: per class, pooled over all views that have a mask (`masks` says how many)
        damaged_views: how many views were left out because a file of theirs is damaged
        distances: per part and region of the ground truth, see `surface_distances` (absent without `gt/`)
    The head is where the capture's mask says so, or where the model is drawn if a view has no mask; pixels
    that either side ignores (below the cut of the neck, unlabelled) are never scored.
    Raises HeadfitError for a region that cannot be, and for regions of a capture without ground truth.
    """
    truth = GroundTruth.of(run.capture)
    gt_regions = [] if truth is None else part_regions(truth)
    if regions:
        if truth is None:
            raise HeadfitError(f"{run.capture.path}: has no gt/topology.npz, so --region has nothing to name")
        asked = [parse_region(text, int(truth.faces.max()) + 1) for text in regions]
        names = {region.name for region in asked}  # a part of the same name gives way
        gt_regions = [region for region in gt_regions if region.name not in names] + asked

    result: dict[str, Any] = {"run": str(run.path), "capture": str(run.capture.path), **_score_views(run)}
    if truth is not None:
        result["distances"] = surface_distances(run, truth, gt_regions)
    with open(run.path / "metrics.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    return result


def _score_views(run: Run) -> dict[str, Any]:
    """PSNR, SSIM and IoU over all cameras and fitted frames."""
    classes = label_classes(run.head.label_names, run.capture.label_names)
    overlap = LabelOverlap(list(classes.names), _unions(list(classes.names)))
    scores: dict[str, list[tuple[float, float]]] = {"held_out": [], "training": []}
    cameras = run.capture.cameras
    views = [(camera, frame) for camera in range(len(cameras)) for frame in range(len(run.frames))]
    masks = damaged = 0
    for camera, frame in tqdm(views, desc="evaluate", unit="view"):
        try:
            image, mask = _observed(run, camera, frame)
        except DamagedFile:
            damaged += 1
            continue
        layers = run.render(cameras[camera], frame)
        model = np.where(layers["label"] < 0, _BACKGROUND, classes.from_model[layers["label"]])
        model[layers["ignore"]] = IGNORED
        seen = model
        if mask is not None:
            seen = classes.from_capture[mask]
            overlap.add(model, seen)
            masks += 1
        head = (seen > _BACKGROUND) & (model != IGNORED)
        if image is not None and head.any():
            kind = "held_out" if cameras[camera].id in run.hold_out else "training"
            rgb, target = layers["rgb"] / 255, image / 255
            scores[kind].append((psnr(rgb, target, head), ssim(rgb, target, head)))
    pictures = {
        kind: dict(zip(("psnr_db", "ssim"), np.mean(values, axis=0).tolist(), strict=True), views=len(values))
        for kind, values in scores.items()
        if values
    }
    return {"pictures": pictures, "iou": overlap.iou(), "masks": masks, "damaged_views": damaged}


def _observed(run: Run, camera: int, frame: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Image and mask of one view of the capture; None where the capture has none. Raises DamagedFile."""
    index = run.capture.frames.index(run.frames[frame])
    return run.capture.image(camera, index), run.capture.mask(camera, index)


def _unions(names: list[str]) -> dict[str, list[str]]:
    """The head (all but background), and the unions that are finer here than their own name."""
    unions = {"head": [name for name in names if name != "background"]}
    for union, members in _UNIONS.items():
        present = [name for name in members if name in names]
        if present and union not in names:
            unions[union] = present
    return unions


def format_report(result: dict[str, Any]) -> str:
    """The result of `evaluate` as a table for a terminal."""
    lines = []
    for kind, title in (("held_out", "held-out cameras"), ("training", "training cameras")):
        if kind in result["pictures"]:
            score = result["pictures"][kind]
            lines.append(
                f"{title:<20} PSNR {score['psnr_db']:5.2f} dB   SSIM {score['ssim']:.4f}   ({score['views']} views)"
            )
    if result["damaged_views"]:
        lines.append(f"left out: {result['damaged_views']} views with damaged files (headfit check names them)")
    if result["masks"]:
        lines.append(f"\nIoU, pooled over {result['masks']} masks")
        lines += [f"  {name:<18} {value:.4f}" for name, value in result["iou"].items()]
    if result.get("distances"):
        lines.append(f"\n{'to fit, in mm':<24}{'median':>8}{'95 %':>8}{'sliding':>9}{'95 %':>8}{'vertices':>10}")
        for name, row in result["distances"].items():
            sliding = [f"{row[key]:.2f}" if key in row else "-" for key in ("sliding_median_mm", "sliding_p95_mm")]
            lines.append(
                f"  {name:<22}{row['median_mm']:>8.2f}{row['p95_mm']:>8.2f}"
                f"{sliding[0]:>9}{sliding[1]:>8}{row['vertices']:>10}"
            )
    return "\n".join(lines)
