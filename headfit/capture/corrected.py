"""capture.json rewritten under the reading of its cameras that the views support."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from headfit.capture.consistency import Findings
from headfit.capture.manifest import METRES_PER_UNIT
from headfit.capture.source import CaptureSource
from headfit.files import read_json, write_atomically


def write_corrected(folder: Path, capture: CaptureSource, findings: Findings) -> Path | None:
    """Write the corrected cameras next to `folder`/capture.json, which stays as it is.

    Everything but K, R, t of the changed cameras and the unit is kept. The name is capture.fixed.json, or the first of
    capture.fixed-2.json, -3, ... that is free.

    Returns:
        The file; None where the findings name no other reading of the cameras.
    """
    if findings.fixed is None and findings.unit is None:
        return None
    content = read_json(folder / "capture.json")
    for entry, given, fixed in zip(content["cameras"], capture.cameras, findings.fixed or capture.cameras, strict=True):
        if given is not fixed:
            entry |= {"K": fixed.K.tolist(), "R": fixed.R.tolist(), "t": (fixed.t / capture.metres_per_unit).tolist()}
    if findings.unit is not None:
        metres = capture.metres_per_unit * findings.unit
        named = [unit for unit, value in METRES_PER_UNIT.items() if np.isclose(value, metres)]
        content["units"] = named[0] if named else "m"
        if not named:
            for entry in content["cameras"]:
                entry["t"] = (metres * np.array(entry["t"])).tolist()
    path = folder / "capture.fixed.json"
    number = 2
    while path.exists():
        path, number = folder / f"capture.fixed-{number}.json", number + 1
    write_atomically(path, json.dumps(content, indent=1))
    return path
