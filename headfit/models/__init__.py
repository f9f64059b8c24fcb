"""The head models that come with headfit: listing, building, and a contact sheet of any head."""

from headfit.models.catalog import build, format_list
from headfit.models.sheet import contact_sheet

__all__ = ["build", "contact_sheet", "format_list"]
