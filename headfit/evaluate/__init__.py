"""Scores of a run: pictures against cameras, labels against masks, the surface against `gt/`."""

from headfit.evaluate.report import evaluate, format_report

__all__ = ["evaluate", "format_report"]
