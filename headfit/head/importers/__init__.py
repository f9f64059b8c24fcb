"""Importers of other makers' head models, chosen by what a path holds."""

from __future__ import annotations

from pathlib import Path

from headfit.errors import HeadfitError
from headfit.head.importers import flame, gnm, ict, mesh
from headfit.head.importers.imported import ImportedHead
from headfit.npz import npz_names

__all__ = ["ImportedHead", "import_head"]


def import_head(path: Path) -> ImportedHead | None:
    """The head of another maker at `path`; None for an npz that has no other maker's keys.

    Raises HeadfitError if the path has none of the layouts of docs/other-heads.md, or is damaged.
    """
    if path.is_dir():
        return ict.read(path)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return mesh.read(path)
    if suffix == ".pkl":
        return flame.read(path)
    if suffix == ".npz":
        keys = npz_names(path)
        return gnm.read(path) if gnm.KEY in keys else flame.read(path) if flame.KEY in keys else None
    raise HeadfitError(
        f"{path}: not a head model: expected an ICT-FaceKit folder, a .pkl or .npz, or a YAML file that names a mesh"
    )
