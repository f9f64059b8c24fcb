"""Paths of the data files that are installed with headfit."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset_path(name: str) -> Path:
    """The path of a file or folder of `models/` or `configs/`, e.g. `asset_path("models/default/head.npz")`.

    A wheel contains both folders in `headfit/_assets/`; in a source checkout or an editable install they
    are next to the package.

    Raises:
        FileNotFoundError: the installation has no such asset.
    """
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        path = root / name
        if path.exists():
            return path
    raise FileNotFoundError(f"headfit was installed without its asset {name!r} (looked next to {_PACKAGE})")
