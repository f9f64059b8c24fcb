"""Finding and reading a baked head model."""

import zipfile
from pathlib import Path

import numpy as np

from headfit.assets import asset_path
from headfit.errors import HeadfitError
from headfit.head.model import REQUIRED_ARRAYS, HeadModel


def load(name: str | Path = "default") -> HeadModel:
    """A head model by the name of its folder under `models/`, or by the path of its npz file.

    Raises HeadfitError where there is no such model, or where the file is damaged or not a head model.
    """
    path = _find(name)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise HeadfitError(f"{path}: cannot be read as a head model ({error})") from error
    missing = sorted(REQUIRED_ARRAYS - arrays.keys())
    if missing:
        raise HeadfitError(f"{path}: not a head model, lacks {', '.join(missing)}")
    return HeadModel(arrays)


def _find(name: str | Path) -> Path:
    if Path(name).suffix == ".npz":
        if not Path(name).is_file():
            raise HeadfitError(f"head model {name}: no such file")
        return Path(name)
    models = asset_path("models")
    known = sorted(path.parent.name for path in models.glob("*/head.npz"))
    if str(name) not in known:
        raise HeadfitError(f"no head model named {str(name)!r}: known are {', '.join(known)}, or give an .npz file")
    return models / name / "head.npz"
