"""Names of units as this program spells them."""

from __future__ import annotations

_SIDES = {"_L": "Left", "_R": "Right"}


def unit_name(name: str) -> str:
    """A unit's name with its side spelled out: `eyeBlink_L` is `eyeBlinkLeft`. Sides are the subject's."""
    return name[:-2] + _SIDES[name[-2:]] if name[-2:] in _SIDES else name
