"""The report of a run as one HTML file: scores, pictures, curves, settings."""

from headfit.report.page import write_report

__all__ = ["write_report"]
