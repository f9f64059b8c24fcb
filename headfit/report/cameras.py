"""What differs from camera to camera: scores, residuals, colour gain, and how the fit corrected the calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headfit.fitting.model import FittedHead
from headfit.report.charts import Plot, Series, bar_chart
from headfit.report.curves import STYLES
from headfit.report.facts import RunFacts, old_scores
from headfit.report.markup import Section, folded, paragraph, row, table, warning
from headfit.report.summary import text
from headfit.types import Float


def cameras_section(runs: Sequence[RunFacts]) -> Section:
    """Bars of scores and residuals for each camera, and a table of each run."""
    cameras = list(dict.fromkeys(camera for facts in runs for camera in facts.cameras))
    wanted = [
        ("PSNR inside the head, dB", [_scores(facts, cameras, "psnr_db") for facts in runs], False),
        ("SSIM", [_scores(facts, cameras, "ssim") for facts in runs], False),
        ("colour error of the skin, 0 to 1, median view", [f.by_camera("colour_error", cameras) for f in runs], True),
        ("wrong labels, share of the head, median view", [f.by_camera("wrong_labels", cameras) for f in runs], True),
        ("shift of the pictures against the model, px", [_health(f, cameras, "shift") for f in runs], True),
        ("correction of the calibration, px over the head", [_health(f, cameras, "corrected") for f in runs], True),
    ]
    names = [f"{camera} (held out)" if camera in runs[0].held_out else camera for camera in cameras]
    charts = []
    for title, values, zero in wanted:
        series = [Series(f.name, of_run, style) for f, of_run, style in zip(runs, values, STYLES, strict=False)]
        if any(np.isfinite(of_run).any() for of_run in values):
            charts.append(bar_chart(Plot(title, names, series, zero=zero)))
    return Section("Cameras", [*map(warning, old_scores(runs)), row(charts), *(_table(facts) for facts in runs)])


def _scores(facts: RunFacts, cameras: Sequence[str], score: str) -> Float:
    return np.array([facts.camera_score(camera, score) for camera in cameras])


def _health(facts: RunFacts, cameras: Sequence[str], what: str) -> Float:
    """A column of the health's cameras, or the length of their shift (pixels)."""
    known = {entry["camera"]: entry for entry in facts.health["cameras"]}
    entries = [known.get(camera, {"x": np.nan, "y": np.nan, "corrected": np.nan}) for camera in cameras]
    return np.array([np.hypot(e["x"], e["y"]) if what == "shift" else e[what] for e in entries], dtype=np.float64)


def _table(facts: RunFacts) -> str:
    """Everything that is known of each camera of one run."""
    head = ["", "PSNR dB", "face dB", "SSIM", "colour error", "wrong labels", "IoU", "shift px", "spread px"]
    head += ["gain R", "G", "B", "corrected px", "turned mrad", "moved mm", "focal ‰", "centre ‰"]
    columns = [
        *((_scores(facts, facts.cameras, s), d) for s, d in (("psnr_db", 2), ("face_psnr_db", 2), ("ssim", 4))),
        *((facts.by_camera(c, facts.cameras), 4) for c in ("colour_error", "wrong_labels", "head_iou")),
        (_health(facts, facts.cameras, "shift"), 2),
        (np.array([_spread(facts, camera) for camera in facts.cameras]), 2),
        *((gain, 3) for gain in _gains(facts.run.model).T),
        (_health(facts, facts.cameras, "corrected"), 2),
        *((values, 2) for values in _corrections(facts.run.model)),
    ]
    names = [f"{camera} (held out)" if camera in facts.held_out else camera for camera in facts.cameras]
    rows = [[name, *(text(values[i], d) for values, d in columns)] for i, name in enumerate(names)]
    explained = paragraph(
        "shift: median over the views; gain: the camera's colour relative to the others; corrected: rms over the head "
        "in the camera's own pixels, made of a turn and a move of the head before the camera, and of changes of focal "
        "length and principal point, both per mille of the focal length. cameras.json has the corrected cameras."
    )
    return folded(facts.titled(f"all figures of {len(names)} cameras"), table(head, rows) + explained)


def _spread(facts: RunFacts, camera: str) -> float:
    return next((entry["spread"] for entry in facts.health["cameras"] if entry["camera"] == camera), float("nan"))


@torch.no_grad()
def _gains(model: FittedHead) -> Float:
    """Colour gains `[C,3]` of the cameras; 1 for one that was held out."""
    index = torch.arange(len(model.capture.cameras), device=model.device)
    gains: Float = model.appearance.gain(index).double().cpu().numpy()
    return gains


@torch.no_grad()
def _corrections(model: FittedHead) -> list[Float]:
    """Size `[C]` of each camera's correction: turn (milliradians), move (mm), focal length and principal point (per
    mille of the focal length); see `CameraCorrection`."""
    values = (model.cameras.relative() * model.cameras.unit).double().cpu().numpy() * 1e3
    sizes = (np.linalg.norm(values[:, part], axis=1) for part in (slice(0, 3), slice(3, 6), slice(7, 9)))
    turn, move, centre = sizes
    return [turn, move, values[:, 6], centre]
