"""The report of a run, or of two side by side: one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from headfit.capture import CaptureSource
from headfit.files import make_folder, write_atomically
from headfit.fitting.run_folder import Run
from headfit.report.cameras import cameras_section
from headfit.report.curves import frames_section, motion_section
from headfit.report.facts import RunFacts
from headfit.report.provenance import provenance_section, training_section
from headfit.report.summary import labels_section, skipped_section, verdict_section
from headfit.report.views import texture_section, views_section

PAGE = Path(__file__).with_name("page.html")


def write_report(runs: Sequence[Run], captures: Sequence[CaptureSource], out: Path) -> None:
    """Write the report of one run, or of two that are compared, as one HTML file without any reference to another.

    Args:
        runs: one or two runs whose health was examined.
        captures: the capture of each, for its pictures.
        out: the file.

    Raises:
        HeadfitError: a file of a run folder cannot be read, or the report cannot be written.
    """
    facts = [RunFacts.read(run, name, is_compared=len(runs) > 1) for run, name in _named(runs)]
    make_folder(out.parent)
    write_atomically(out, render_report(facts, captures))


def render_report(runs: Sequence[RunFacts], captures: Sequence[CaptureSource]) -> str:
    """The page as text; arguments as of `write_report`."""
    sections = [
        verdict_section(runs),
        views_section(runs, captures),
        labels_section(runs),
        frames_section(runs),
        cameras_section(runs),
        motion_section(runs),
        texture_section(runs),
        training_section(runs),
        skipped_section(runs),
        provenance_section(runs),
    ]
    shown = [section for section in sections if any(section.blocks)]
    capture = runs[0].run.model.capture
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(" and ".join(facts.name for facts in runs)),
        subtitle=escape(f"headfit: {capture.name}, {len(capture.frames)} frames, {len(capture.cameras)} cameras"),
        links="".join(f'<a href="#{escape(section.anchor)}">{escape(section.title)}</a>' for section in shown),
        sections="\n".join(section.html() for section in shown),
    )


def _named(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """The runs by the names of their folders, or by their whole paths where those are the same."""
    folders = [run.path.resolve() for run in runs]
    distinct = len({folder.name for folder in folders}) == len(runs)
    return [(run, folder.name if distinct else str(folder)) for run, folder in zip(runs, folders, strict=True)]
