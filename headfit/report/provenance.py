"""Where a run comes from: its training, settings, versions and source tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headfit import __version__
from headfit.files import read_text
from headfit.fitting.settings import CONFIG, RUN_ARGS, flat_settings
from headfit.report.charts import Plot, Series, line_chart
from headfit.report.curves import SMALL, STYLES
from headfit.report.facts import RunFacts
from headfit.report.markup import Section, folded, paragraph, row, table, text_block
from headfit.report.training import StageLog


def training_section(runs: Sequence[RunFacts]) -> Section:
    """Time of each stage, and the course of every loss term in it."""
    blocks = []
    names = list(dict.fromkeys(stage.name for facts in runs for stage in facts.stages))
    logs = [{stage.name: stage for stage in facts.stages} for facts in runs]
    head = ["stage", *(facts.titled(what) for what in ("steps", "seconds", "ms a step") for facts in runs)]
    rows = [[name, *(cell(log.get(name)) for cell in (_steps, _seconds, _per_step) for log in logs)] for name in names]
    blocks.append(table(head, rows))
    for name in names:
        charts = _loss_charts([(facts, log[name]) for facts, log in zip(runs, logs, strict=True) if name in log])
        blocks.append(folded(f"losses of stage {name}", row(charts)))
    explained = "Time from the first to the last step of a stage; start, pictures at its end and health are not in it."
    return Section("Training", [*blocks, paragraph(explained if names else "There are no TensorBoard events.")])


def _steps(stage: StageLog | None) -> str:
    return "-" if stage is None else str(len(stage.steps))


def _seconds(stage: StageLog | None) -> str:
    return "-" if stage is None else f"{stage.seconds:.1f}"


def _per_step(stage: StageLog | None) -> str:
    return "-" if stage is None or len(stage.steps) < 2 else f"{1e3 * stage.seconds / (len(stage.steps) - 1):.0f}"


def _loss_charts(logs: Sequence[tuple[RunFacts, StageLog]]) -> list[str]:
    charts = []
    for term in dict.fromkeys(term for _, stage in logs for term in stage.losses):
        known = [stage.losses.get(term, np.zeros(0)) for _, stage in logs]
        length = max(map(len, known))
        series = [
            Series(facts.name, np.pad(values, (0, length - len(values)), constant_values=np.nan), style)
            for (facts, _), values, style in zip(logs, known, STYLES, strict=False)
        ]
        charts.append(line_chart(Plot(term, [f"step {i}" for i in range(length)], series, SMALL)))
    return charts


def provenance_section(runs: Sequence[RunFacts]) -> Section:
    """Versions, the state of the source tree, the head, and all settings."""
    rows = [
        ["run", *(str(facts.run.path) for facts in runs)],
        ["capture", *(facts.run.args.capture for facts in runs)],
        ["head", *(facts.run.model.config.head for facts in runs)],
        ["made by source tree", *(str(facts.environment.get("git") or "-") for facts in runs)],
        ["python", *(facts.environment.get("python", "-") for facts in runs)],
        ["machine", *(facts.environment.get("machine", "-") for facts in runs)],
    ]
    packages = list(dict.fromkeys(name for facts in runs for name in facts.environment.get("packages", {})))
    rows += [[name, *(facts.environment.get("packages", {}).get(name, "-") for facts in runs)] for name in packages]
    blocks = [table(["", *(facts.name for facts in runs)], rows)]
    if len(runs) > 1:
        blocks.append(_differences(runs))
    for facts in runs:
        for file in (CONFIG, RUN_ARGS):
            blocks.append(folded(facts.titled(file), text_block(read_text(facts.run.path / file))))
    return Section("Settings and versions", [*blocks, paragraph(f"Report by headfit {__version__}.")])


def _differences(runs: Sequence[RunFacts]) -> str:
    """The settings in which the runs differ."""
    settings = [flat_settings(facts.run.model.config) for facts in runs]
    names = list(dict.fromkeys(name for of_run in settings for name in of_run))
    cells = [[name, *(str(of_run.get(name, "-")) for of_run in settings)] for name in names]
    changed = [row for row in cells if len(set(row[1:])) > 1]
    titles = ["settings that differ", *(facts.name for facts in runs)]
    return table(titles, changed) or paragraph("All settings are the same.")
