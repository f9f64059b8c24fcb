"""Scores of a run (pictures, labels, distances to ground truth) and the health of a fit."""

from headfit.evaluate.report import evaluate, format_report

__all__ = ["evaluate", "format_report"]
