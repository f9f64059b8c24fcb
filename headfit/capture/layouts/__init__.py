"""Layouts of recordings that `headfit import` reads, by name: one file each, and a line in `LAYOUTS`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from headfit.capture.layouts import (
    anipose,
    ava256,
    colmap,
    facescape,
    h3ds,
    meshroom,
    metashape,
    multiface,
    nersemble,
    opencv_yaml,
    opensfm,
    realitycapture,
    realitycapture_csv,
    renderme,
    transforms,
    vhap,
)
from headfit.capture.layouts.entries import with_noted_lenses
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.manifest import parse_manifest
from headfit.errors import HeadfitError
from headfit.files import damage_named, failures_named


class Layout(Protocol):
    """What the module of a layout has."""

    def recognise(self, source: Path) -> bool:
        """Whether the file or folder `source` is of this layout."""

    def read(self, source: Path, options: ImportOptions) -> dict[str, Any]:
        """The content of a capture.json with absolute paths. Raises HeadfitError naming the file."""


#: In the order in which they are tried.
LAYOUTS: dict[str, Layout] = {
    "nersemble": nersemble,
    "vhap": vhap,
    "transforms": transforms,
    "colmap": colmap,
    "opencv": opencv_yaml,
    "multiface": multiface,
    "ava-256": ava256,
    "metashape": metashape,
    "realitycapture": realitycapture,
    "realitycapture-csv": realitycapture_csv,
    "facescape": facescape,
    "renderme-360": renderme,
    "anipose": anipose,
    "h3ds": h3ds,
    "meshroom": meshroom,
    "opensfm": opensfm,
}


def read_layout(layout: str, source: Path, options: ImportOptions) -> tuple[str, dict[str, Any]]:
    """The name of the layout, and the content of a capture.json with absolute paths.

    Args:
        layout: a name of `LAYOUTS`, or auto.
        source: file or folder.
        options: what the files do not say; the reader adds its notes.

    Raises:
        HeadfitError: there is no such file, its layout is unknown, or something in it is missing.
    """
    if not source.exists():
        raise HeadfitError(f"{source}: no such file or folder")
    name = recognised(source, options) if layout == "auto" else layout
    with failures_named(source), damage_named(source, f"a recording in the layout {name}"):
        try:
            content = with_noted_lenses(LAYOUTS[name].read(source.absolute(), options), options)
            parse_manifest(content, source)  # what is wrong with the numbers is said before anything is written
        except HeadfitError as error:
            names_a_file = Path(str(error).partition(": ")[0]).is_absolute()
            raise error if names_a_file else HeadfitError(f"{source}: {error}") from error
    return name, content


def recognised(source: Path, options: ImportOptions) -> str:
    """The first layout that recognises `source`; another one that does, too, is noted."""
    with failures_named(source):
        names = [name for name, layout in LAYOUTS.items() if layout.recognise(source)]
    if not names:
        raise HeadfitError(
            f"{source}: no known layout recognised there; name the calibration file itself, or the layout: "
            f"{', '.join(LAYOUTS)}"
        )
    if len(names) > 1:
        options.notes.append(f"read as {names[0]}; it may be read as {', '.join(names[1:])} as well (--layout)")
    return names[0]
