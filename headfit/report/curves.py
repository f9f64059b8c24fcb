"""What changes from frame to frame: residuals, and the motion of the head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation
from torch import Tensor

from headfit.export.motion import HeadMotion
from headfit.report.charts import Plot, Series, line_chart
from headfit.report.facts import RunFacts, old_scores
from headfit.report.markup import Section, paragraph, row, warning
from headfit.types import Float

#: Styles of the first and the second run.
STYLES = ("a", "b")
#: Size of the many small charts of the motion; how many of a kind are drawn: those that move most.
SMALL, MAX_CURVES = (300, 110), 24
#: Least range of a curve that is drawn: activation of an expression unit, degrees, millimetres.
MOVES = {"expression": 0.05, "degrees": 1.0, "mm": 1.0}

#: Columns of views.json, what they are, and what their worst value is.
RESIDUALS = (
    ("wrong_labels", "wrong labels, share of the head", np.max),
    ("colour_error", "colour error of the skin, 0 to 1", np.max),
    ("head_iou", "IoU of the head", np.min),
    ("landmark_error", "landmark error, share of the head's size", np.max),
)


def frames_section(runs: Sequence[RunFacts]) -> Section:
    """Residuals of each frame; with one run also those of its worst view, and millimetres where there is truth."""
    frames = runs[0].frames
    blocks: list[str] = []
    notes: list[str] = []
    for column, title, worst in RESIDUALS:
        medians = [facts.by_frame(column, np.median, frames) for facts in runs]
        curves = [Series(f.name, values, style) for f, values, style in zip(runs, medians, STYLES, strict=False)]
        if len(runs) == 1:
            curves = [
                Series("median view", medians[0]),
                Series("worst view", runs[0].by_frame(column, worst, frames), "worst"),
            ]
        if any(np.isfinite(values).any() for values in medians):
            blocks.append(line_chart(Plot(title, frames, curves, zero=column != "head_iou")))
    truth = [_distance_by_frame(facts, frames) for facts in runs]
    if any(np.isfinite(values).any() for values in truth):
        curves = [Series(f.name, values, style) for f, values, style in zip(runs, truth, STYLES, strict=False)]
        blocks.append(line_chart(Plot("distance to the true surface, median, mm", frames, curves)))
        notes += map(warning, old_scores(runs))
    missing = [frame for facts in runs[1:] for frame in facts.frames if frame not in set(frames)]
    if missing:
        notes.append(paragraph(f"{len(missing)} frames are only in {runs[-1].name} and not drawn."))
    return Section("Frames", [row(blocks), *notes])


def _distance_by_frame(facts: RunFacts, frames: Sequence[str]) -> Float:
    by_frame = facts.scores.get("distances", {}).get("all", {}).get("by_frame_mm", {})
    return np.array([by_frame.get(frame, np.nan) for frame in frames], dtype=np.float64)


def motion_section(runs: Sequence[RunFacts]) -> Section:
    """Curves of the expression units, the joints and the head that move, those of the largest range first."""
    frames = runs[0].frames
    curves = [_motion(facts) for facts in runs]
    blocks = []
    for kind, unit in (("expression", "expression"), ("joint", "degrees"), ("head", "degrees"), ("head at", "mm")):
        spans = {name: float(np.ptp(values)) for (group, name), values in curves[0].items() if group == kind}
        moving = sorted((name for name, span in spans.items() if span > MOVES[unit]), key=lambda name: -spans[name])
        charts = []
        for name in moving[:MAX_CURVES]:
            series = [
                Series(facts.name, _on(frames, facts.frames, of_run[kind, name]), style)
                for facts, of_run, style in zip(runs, curves, STYLES, strict=False)
                if (kind, name) in of_run
            ]
            charts.append(line_chart(Plot(name, frames, series, SMALL, zero=kind == "expression")))
        blocks += [row(charts)] if charts else []
        if len(moving) > MAX_CURVES:
            blocks.append(paragraph(f"{len(moving) - MAX_CURVES} units that move less are not drawn."))
    return Section("Expression and pose", blocks or [paragraph("Nothing moves.")])


def _motion(facts: RunFacts) -> dict[tuple[str, str], Float]:
    """Per kind and name, the value in each frame: expression units (activation), joints and head (axis-angle, degrees,
    the head's from its mean orientation), position of the head (mm from its first one, axes of the capture's world)."""
    motion = HeadMotion.of(facts.run.model)
    found = {
        ("expression", name): unit
        for name, unit in zip(motion.head.expression_names, _rows(motion.expression), strict=True)
    }
    for name, joint in zip(motion.head.joint_names, motion.joints.unbind(1), strict=True):
        for axis, angle in zip("xyz", np.rad2deg(_rows(joint[:, :3])), strict=True):
            found["joint", f"{name}, about {axis}, degrees"] = angle
    turns = Rotation.from_matrix(motion.turns()).as_rotvec(degrees=True).T
    moves = 1e3 * (motion.translation - motion.translation[0]).T
    for axis, turn, move in zip("xyz", turns, moves, strict=True):
        found["head", f"head, about {axis}, degrees"] = turn
        found["head at", f"head, along {axis}, mm"] = move
    return found


def _rows(values: Tensor) -> Float:
    """Values `[F,N]` as `[N,F]`."""
    rows: Float = values.T.double().cpu().numpy()
    return rows


def _on(frames: Sequence[str], own: Sequence[str], values: Float) -> Float:
    """Values of the frames `own` at the positions of `frames`; NaN for those that are not among them."""
    of_frame = dict(zip(own, values.tolist(), strict=True))
    return np.array([of_frame.get(frame, np.nan) for frame in frames])
