"""The first things a reader wants to know: verdict, scores, labels, distances, and what the fit could not use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headfit.evaluate.health import MAX_LISTED
from headfit.report.facts import RunFacts, old_scores
from headfit.report.markup import Section, listing, paragraph, table, warning

#: Maximum number of skipped files of a kind that are named.
MAX_FILES = 200

HOW_TO_SCORE = "Not scored yet: run `headfit evaluate` on the run, then make the report again."


def text(value: float | None, digits: int, unit: str = "") -> str:
    """A number with a fixed number of digits and its unit; "-" where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}{unit}"


def verdict_section(runs: Sequence[RunFacts]) -> Section:
    """What `headfit fit` said at its end, and the figures that it follows from."""
    blocks = []
    for facts in runs:
        health = facts.health
        kind = health["verdict"].split()[0].strip(":")
        blocks.append(f'<div class="verdict {kind if kind in ("good", "failed") else "look"}">')
        blocks.append(paragraph(facts.titled(health["verdict"])))
        blocks.append(listing("Frames with high residuals", [_frame(row) for row in health["frames"]], MAX_LISTED))
        off = [_camera(row) for row in health["cameras"] if row["off"]]
        blocks.append(listing("Cameras that look off", off, MAX_LISTED) + "</div>")
    blocks += map(warning, old_scores(runs))
    blocks.append(table(["", *(facts.name for facts in runs)], _figures(runs)))
    return Section("Verdict", blocks + ([] if all(facts.scores for facts in runs) else [paragraph(HOW_TO_SCORE)]))


def _figures(runs: Sequence[RunFacts]) -> list[list[str]]:
    """Rows of figures, one column for each run; rows that no run knows are left out."""

    def score(kind: str, name: str) -> Callable[[RunFacts], Any]:
        return lambda facts: facts.scores.get("pictures", {}).get(kind, {}).get(name)

    def floor(name: str) -> Callable[[RunFacts], Any]:
        return lambda facts: facts.health["floor"][name]

    def distance(name: str) -> Callable[[RunFacts], Any]:
        return lambda facts: facts.scores.get("distances", {}).get("all", {}).get(name)

    wanted: list[tuple[str, int, str, Callable[[RunFacts], Any]]] = [
        ("held-out cameras, PSNR inside the head", 2, " dB", score("held_out", "psnr_db")),
        ("held-out cameras, PSNR of the face", 2, " dB", score("held_out", "face_psnr_db")),
        ("held-out cameras, SSIM", 4, "", score("held_out", "ssim")),
        ("training cameras, PSNR inside the head", 2, " dB", score("training", "psnr_db")),
        ("training cameras, PSNR of the face", 2, " dB", score("training", "face_psnr_db")),
        ("training cameras, SSIM", 4, "", score("training", "ssim")),
        ("IoU of the head, median over views", 4, "", floor("head_iou")),
        ("landmark error, share of the head's size", 4, "", floor("landmark_error")),
        ("distance to the true surface, median", 3, " mm", distance("median_mm")),
        ("distance to the true surface, 95 %", 3, " mm", distance("p95_mm")),
        ("cameras corrected, median", 2, " px", lambda facts: _corrected(facts, np.median)),
        ("cameras corrected, at most", 2, " px", lambda facts: _corrected(facts, np.max)),
        ("views compared", 0, "", lambda facts: facts.health["views"]),
        ("frames", 0, "", lambda facts: len(facts.frames)),
        ("cameras", 0, "", lambda facts: len(facts.cameras)),
        ("cameras held out", 0, "", lambda facts: len(facts.held_out)),
        ("optimiser steps", 0, "", lambda facts: sum(len(stage.steps) for stage in facts.stages) or None),
        ("time in the stages", 1, " min", lambda facts: sum(stage.seconds for stage in facts.stages) / 60 or None),
    ]
    rows = [[name, *(text(of(facts), digits, unit) for facts in runs)] for name, digits, unit, of in wanted]
    return [row for row in rows if set(row[1:]) != {"-"}]


def _corrected(facts: RunFacts, reduce: Callable[[list[float]], Any]) -> float | None:
    values = [camera["corrected"] for camera in facts.health["cameras"]]
    return float(reduce(values)) if values else None


def _frame(row: dict[str, Any]) -> str:
    residuals = f"wrong labels x{row['mask']:.1f}, colour error x{row['colour']:.1f}"
    return f"{row['frame']}: {', '.join(row['cameras'])}: {residuals} of what is usual there"


def _camera(row: dict[str, Any]) -> str:
    return f"{row['camera']}: its pictures lie x {row['x']:+.1f}, y {row['y']:+.1f} px from the model"


def labels_section(runs: Sequence[RunFacts]) -> Section:
    """IoU of each label, and distances to the true surface by part."""
    ious = [facts.scores.get("iou", {}) for facts in runs]
    names = list(dict.fromkeys(name for iou in ious for name in iou))
    blocks = [
        table(
            ["IoU, pooled over masks", *(facts.name for facts in runs)],
            [[name, *(text(iou.get(name), 4) for iou in ious)] for name in names],
        )
    ]
    distances = [facts.scores.get("distances", {}) for facts in runs]
    columns = ("median_mm", "p95_mm", "sliding_median_mm", "sliding_p95_mm")
    titles = ("median", "95 %", "sliding, median", "sliding, 95 %")
    head = ["true surface to fit, mm", *(facts.titled(title) for title in titles for facts in runs)]
    parts = list(dict.fromkeys(name for rows in distances for name in rows))
    blocks.append(
        table(
            head,
            [[part, *(text(rows.get(part, {}).get(c), 2) for c in columns for rows in distances)] for part in parts],
        )
    )
    shown = [block for block in blocks if block]
    return Section("Labels and distances", [*map(warning, old_scores(runs)), *shown] if shown else [])


def skipped_section(runs: Sequence[RunFacts]) -> Section:
    """The files of the capture that could not be used."""
    blocks = []
    for facts in runs:
        ignored = facts.health["ignored"]
        blocks += [
            listing(facts.titled(f"{len(files)} {kind}"), files, MAX_FILES) for kind, files in ignored.items() if files
        ]
    return Section("Skipped files", blocks or [paragraph("Every file of the capture could be used.")])
