"""The state of a fit in one table: every parameter and buffer of `FittedHead`, its group, scope and unit.

The optimiser, the validation of settings, the warm start and the reference of settings are all derived from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

#: What an entry belongs to. person, look (texture and light of the studio): shared by the capture; camera, frame: one
#: row for each; view: one row for each frame, with one column for each camera; capture: of this capture only.
Scope = Literal["person", "look", "camera", "frame", "view", "capture"]


@dataclass(frozen=True)
class StateEntry:
    """One parameter or buffer.

    Args:
        path: its name in `FittedHead.state_dict()`, or the prefix of a list of parameters.
        scope: what it belongs to.
        group: the parameter group whose learning rate moves it; "": nothing moves it after the initialisation.
        unit: what one unit of the stored value is: the unit of the learning rate.
        isotropic: whether `FitAdam` keeps one second moment for the whole tensor (a mesh of vectors).
    """

    path: str
    scope: Scope
    group: str = ""
    unit: str = ""
    isotropic: bool = False

    def holds(self, name: str) -> bool:
        """Whether the entry of this name in the state dict belongs here."""
        return name == self.path or name.startswith(self.path + ".")


COLOUR = "display-coded colour, 0 to 1"
STATE = (
    StateEntry("geometry.rotation", "frame", "rotation", "radians"),
    StateEntry("geometry.translation", "frame", "translation", "metres"),
    StateEntry("geometry.log_scale", "person", "scale", "natural logarithm"),
    StateEntry("geometry.identity", "person", "identity", "standard deviations"),
    StateEntry("geometry.expression", "frame", "expression", "activation, 0 to 1"),
    StateEntry("geometry.joints_scaled", "frame", "joints", "radians, or 5 cm"),
    StateEntry("geometry.placement_scaled", "person", "placement", "5 cm, radians, or natural logarithm"),
    StateEntry("geometry.offset_field", "person", "offsets", "metres", isotropic=True),
    StateEntry("geometry.fine_offset_field", "person", "fine_offsets", "metres", isotropic=True),
    StateEntry("geometry.detail_mm", "frame", "detail", "millimetres", isotropic=True),
    StateEntry("hair.field", "person", "hair", "metres", isotropic=True),
    StateEntry("hair_texture", "look"),
    StateEntry("appearance.levels", "look", "texture", COLOUR),
    StateEntry("appearance.light", "look", "light", COLOUR),
    StateEntry("appearance.gloss", "look", "gloss", COLOUR),
    StateEntry("appearance.camera_light", "camera", "light", COLOUR),
    StateEntry("appearance.log_gain", "camera", "gain", "natural logarithm"),
    StateEntry("cameras.values", "camera", "cameras", "standard deviations of a calibration's usual error"),
    StateEntry("appearance.background", "look"),
    StateEntry("texture_started", "look"),
    StateEntry("hair_started", "look"),
    StateEntry("geometry.start_rotation", "frame"),
    StateEntry("head_window", "capture"),
    StateEntry("visited", "frame"),
    StateEntry("landmark_trust", "view"),
    StateEntry("mask_trust", "view"),
)
#: Names of the parameter groups, each with its unit; `Stage.rates` may move these.
GROUPS: dict[str, str] = {entry.group: entry.unit for entry in STATE if entry.group}


def entry_of(name: str) -> StateEntry:
    """The table's entry for a name of the state dict. Raises KeyError for a name that is in no entry."""
    for entry in STATE:
        if entry.holds(name):
            return entry
    raise KeyError(name)


def require_complete(names: Iterable[str]) -> None:
    """Check that the names of a state dict and the table agree.

    Raises:
        AssertionError: a parameter or buffer is in no entry, or an entry holds none; it would not be optimised, or not
            be inherited by a warm start.
    """
    names = list(names)
    forgotten = [name for name in names if not any(entry.holds(name) for entry in STATE)]
    empty = [entry.path for entry in STATE if not any(entry.holds(name) for name in names)]
    assert not forgotten and not empty, f"fitting/groups.py: not in STATE: {forgotten}; nothing there: {empty}"


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Optimiser groups of a `FittedHead`, one for each entry that moves; `FitAdam` explains the options."""
    parameters = list(model.named_parameters())
    return [
        {
            "name": entry.group,
            "params": [parameter for name, parameter in parameters if entry.holds(name)],
            "rows": entry.scope == "frame",
            "isotropic": entry.isotropic,
        }
        for entry in STATE
        if entry.group
    ]
