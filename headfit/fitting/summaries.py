"""What TensorBoard shows of a run besides losses and pictures: layout of the charts, settings, figures to compare."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from headfit.fitting.config import FitConfig
from headfit.fitting.run_folder import TENSORBOARD
from headfit.fitting.settings import flat_settings
from headfit.fitting.terms.term import Term

if TYPE_CHECKING:  # results are read without Lightning, which a plan needs
    from headfit.fitting.schedule import Plan

#: Scalars by which runs are compared: the health's once a fit has ended, the scores once it was evaluated. TensorBoard
#: has to know them when a run begins.
HEALTH_FIGURES = ("head_iou", "overlapping", "landmark_error", "frames_with_high_residual", "cameras_off")
SCORES = ("psnr_db", "face_psnr_db", "ssim")
FIGURES = (
    *(f"health/{name}" for name in HEALTH_FIGURES),
    *(f"score/{kind}/{name}" for kind in ("held_out", "training") for name in SCORES),
    "score/iou/head",
    "score/distance/median_mm",
    "score/distance/p95_mm",
)


def chart_layout(plan: Plan, terms: Mapping[str, Term]) -> dict[str, dict[str, list[Any]]]:
    """The layout of TensorBoard's page "Custom scalars", as `SummaryWriter.add_custom_scalars` takes it.

    A category for each stage of the plan, with a chart for each term that compares with the capture and, in first-order
    stages, one of all priors; and one for the whole fit.
    """

    def chart(tags: Iterable[str]) -> list[Any]:
        return ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]

    layout: dict[str, dict[str, list[Any]]] = {
        "whole fit": {"loss": chart(["loss/total"]), "learning rates": ["Multiline", ["^rate/"]]}
    }
    for stage in dict.fromkeys(chunk.stage for chunk in plan.chunks):
        weighed = [term for term in terms.values() if plan.stages[stage].weights.get(term.name)]
        logs_priors = plan.stages[stage].solver == "adam"  # second-order steps tell the costs of data terms only
        moved = [group for group, rate in plan.stages[stage].rates.items() if rate and logs_priors]
        priors = [f"loss/{stage}/{term.name}" for term in weighed if term.regularises in moved]
        layout[stage] = {term.name: chart([f"loss/{stage}/{term.name}"]) for term in weighed if not term.regularises}
        layout[stage] |= {"priors": chart(priors)} if priors else {}
    return layout


def describe_run(writer: SummaryWriter, config: FitConfig, plan: Plan, terms: Mapping[str, Term]) -> None:
    """Write what TensorBoard shows of a run as a whole: layout, and settings with the figures that they lead to."""
    writer.add_custom_scalars(chart_layout(plan, terms))
    settings = flat_settings(config)
    writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in settings.items()), 0)
    experiment, start, _ = hparams(settings, dict.fromkeys(FIGURES, 0.0))
    for summary in (experiment, start):
        writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # declared as None


def write_figures(run: Path, figures: Mapping[str, float | None]) -> None:
    """Write some of `FIGURES` of a run; None and NaN: not known."""
    unknown = set(figures) - set(FIGURES)
    assert not unknown, f"not among FIGURES, so that TensorBoard would not compare runs by them: {unknown}"
    with SummaryWriter(str(run / TENSORBOARD)) as writer:
        for name, value in figures.items():
            if value is not None and math.isfinite(value):
                writer.add_scalar(name, value, 0)
