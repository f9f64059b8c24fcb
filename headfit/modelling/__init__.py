"""Tools that build, list and judge head models."""

from headfit.modelling.catalog import build, format_list
from headfit.modelling.contact_sheet import contact_sheet

__all__ = ["build", "contact_sheet", "format_list"]
