"""Loading head models: by name, from an npz file in our layout, or from other makers' files."""

from pathlib import Path

from headfit.assets import asset_path
from headfit.errors import HeadfitError
from headfit.files import damage_named
from headfit.head.arrays import Arrays, check_arrays
from headfit.head.model import HeadModel
from headfit.npz import read_npz

#: Next to `head.npz`: where MediaPipe's landmarks are on it.
DENSE_FILE = "dense_landmarks.npz"


def load(name: str | Path = "default") -> HeadModel:
    """A head model by the name of its folder under `models/`, or by a path.

    A path may be an npz in our own layout, or another maker's model (docs/other-heads.md): an ICT-FaceKit folder, a
    FLAME pickle or npz, a GNM Head npz, or a YAML file that describes a mesh.
    Raises HeadfitError if there is no such model, or if the file is damaged or not a head model.
    """
    path = _find(name)
    with damage_named(path, "a head model"):
        arrays = _read_own(path) if str(name) in _known() else _read_any(path)
        check_arrays(arrays, str(path))
        return HeadModel(arrays)


def _read_any(path: Path) -> Arrays:
    from headfit.head.importers import import_head  # imported on use: its mesh readers take a second to import

    imported = import_head(path)
    return imported.arrays() if imported else _read_own(path)


def _read_own(path: Path) -> Arrays:
    """The arrays of an npz in our own layout, and those of the dense landmarks that are derived for it, if a file next
    to it has them."""
    beside = path.with_name(DENSE_FILE)
    return {**read_npz(path), **(read_npz(beside) if beside.is_file() else {})}


def resolve(name: str | Path) -> str:
    """The name of a head model independent of the working directory: a name under `models/`, or an absolute path.

    Raises HeadfitError if there is no such model.
    """
    path = _find(name)
    return str(name) if str(name) in _known() else str(path.resolve())


def _known() -> list[str]:
    """Names of the models under `models/`."""
    return sorted(path.parent.name for path in asset_path("models").glob("*/head.npz"))


def _find(name: str | Path) -> Path:
    known = _known()
    if str(name) in known:
        return asset_path("models") / name / "head.npz"
    if Path(name).exists():
        return Path(name)
    if Path(name).suffix or len(Path(name).parts) > 1:
        raise HeadfitError(f"head model {name}: no such file or folder")
    raise HeadfitError(
        f"no head model named {str(name)!r}; known: {', '.join(known)}. Or give a path (docs/other-heads.md)"
    )
