"""`headfit evaluate`: scores of a run against its capture, as a table and as metrics.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from headfit.capture import Camera, CaptureSource, DamagedFile, label_classes
from headfit.capture.labels import IGNORED
from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.evaluate.distances import parse_region, part_regions, surface_distances
from headfit.evaluate.metrics import LabelOverlap
from headfit.evaluate.picture_scores import NOT_FACE, PictureScores
from headfit.files import write_atomically
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import Run
from headfit.fitting.summaries import SCORES, write_figures

METRICS = "metrics.json"
_BACKGROUND = 0  # class 0 of every LabelClasses

# Classes whose union is also reported, where both model and capture distinguish them.
_UNIONS = {
    "eyes": ("left_eye", "right_eye"),
    "lips": ("upper_lip", "lower_lip"),
    "teeth": ("upper_teeth", "lower_teeth"),
}


def evaluate(run: Run, capture: CaptureSource, regions: Sequence[str] = ()) -> dict[str, Any]:
    """Score a run against a capture and write `metrics.json` into the run folder.

    The head's pixels are those of the mask, or those of the rendered model where the mask does not know or is missing.
    Pixels that either ignores (below the neck, unlabelled) are not scored.

    Args:
        run: the fit.
        capture: the capture that it was fitted to; frames and cameras are matched by name.
        regions: `NAME=START:STOP`, ranges of ground-truth vertices to report in addition to the parts.

    Returns:
        The content of the file:
        pictures: for `held_out` and `training` cameras, PSNR (dB) and SSIM inside the head, see `PictureScores`
        iou: per class, pooled over all views that have a mask (`masks`: their number); empty when masks are mattes
        damaged_views: number of views that were skipped because one of their files is damaged
        changes: differences between the capture's frames and cameras and the fitted ones
        distances: per part and region of the ground truth, see `surface_distances` (absent without true meshes)

    Raises:
        HeadfitError: a region does not fit, or regions of a capture without ground truth are asked for.
    """
    truth = capture.ground_truth()
    gt_regions = [] if truth is None else part_regions(truth)
    if regions:
        if truth is None:
            raise HeadfitError(f"{capture.location}: has no true meshes, so --region has nothing to name")
        asked = [parse_region(text, int(truth.faces.max()) + 1) for text in regions]
        names = {region.name for region in asked}  # a requested region replaces a part of the same name
        gt_regions = [region for region in gt_regions if region.name not in names] + asked

    result: dict[str, Any] = {"run": str(run.path), "capture": capture.location, **_score_views(run.model, capture)}
    if truth is not None:
        result["distances"] = surface_distances(run.model, truth, gt_regions)
    write_atomically(run.path / METRICS, json.dumps(result, indent=1))
    write_figures(run.path, _figures(result))
    return result


def _score_views(model: FittedHead, capture: CaptureSource) -> dict[str, Any]:
    """PSNR, SSIM and IoU over all fitted views that are in the capture."""
    classes = label_classes(model.head.label_names, capture.label_names)
    overlap = LabelOverlap(list(classes.names), _unions(list(classes.names)))
    shows_head = bool((classes.from_capture > _BACKGROUND).any())  # a matte shows no class of the head
    scores = PictureScores()
    not_face = np.array([name in NOT_FACE for name in model.head.label_names])
    masks = damaged = 0
    for view in tqdm(_views(model, capture), desc="evaluate", unit="view"):
        try:
            image, mask = capture.image(*view.in_capture), capture.mask(*view.in_capture)
        except DamagedFile:
            damaged += 1
            continue
        layers = model.render(view.camera, view.frame)
        rendered = np.where(layers["label"] < 0, _BACKGROUND, classes.from_model[layers["label"]])
        rendered[layers["below_neck"]] = IGNORED
        seen = rendered
        if mask is not None:
            seen = classes.from_capture[mask]
            if shows_head:
                overlap.add(rendered, seen)
            seen = np.where(classes.unknown[mask], rendered, seen)
            masks += 1
        head = (seen > _BACKGROUND) & (rendered != IGNORED)
        if image is not None and head.any():
            face = head & (layers["label"] >= 0) & ~not_face[layers["label"]]
            scores.add(view.kind, view.camera.id, layers["rgb"] / 255, image / 255, head, face)
    changes = model.capture.differences(CaptureSummary.of(capture))
    return {
        "pictures": scores.result(),
        "iou": overlap.iou(),
        "masks": masks,
        "damaged_views": damaged,
        "changes": changes,
    }


def _figures(result: dict[str, Any]) -> dict[str, float | None]:
    """The scores by which TensorBoard compares runs."""
    figures = {f"score/{kind}/{name}": scores[name] for kind, scores in result["pictures"].items() for name in SCORES}
    figures["score/iou/head"] = result["iou"].get("head")
    distances = result.get("distances", {}).get("all", {})
    return figures | {f"score/distance/{name}": distances.get(name) for name in ("median_mm", "p95_mm")}


@dataclass(frozen=True)
class _View:
    """A fitted camera and frame index, whether it was held out, and its (camera, frame) in the capture."""

    camera: Camera
    frame: int
    kind: str
    in_capture: tuple[int, int]


def _views(model: FittedHead, capture: CaptureSource) -> list[_View]:
    """The fitted views that are also in the capture."""
    camera_of = {camera.id: index for index, camera in enumerate(capture.cameras)}
    frame_of = {name: index for index, name in enumerate(capture.frames)}
    return [
        _View(
            camera,
            frame,
            "held_out" if camera.id in model.config.hold_out else "training",
            (camera_of[camera.id], frame_of[name]),
        )
        for camera in model.corrected_cameras()
        if camera.id in camera_of
        for frame, name in enumerate(model.capture.frames)
        if name in frame_of
    ]


def _unions(names: list[str]) -> dict[str, list[str]]:
    """Members of each union: the head (all but background), and those of several classes in `names`."""
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
            face = "" if score["face_psnr_db"] is None else f"   face {score['face_psnr_db']:5.2f} dB"
            own = f", {score['psnr_raw_db']:.2f} dB before their own gain" if "gains" in score else ""
            lines.append(
                f"{title:<20} PSNR {score['psnr_db']:5.2f} dB{face}   SSIM {score['ssim']:.4f}   "
                f"({score['views']} views{own})"
            )
    if result["damaged_views"]:
        lines.append(f"left out: {result['damaged_views']} views with damaged files (headfit check names them)")
    lines += [f"the capture differs from the fitted one: {change}" for change in result["changes"]]
    if result["iou"]:
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
