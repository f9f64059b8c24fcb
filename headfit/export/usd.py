"""USD: one stage with the head, its hair and the cameras; points of every frame, part subsets, preview materials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from headfit.errors import HeadfitError
from headfit.export.take import FrameWriter, Take


@contextmanager
def usd_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """`take.usdc`: /take with /take/head, /take/hair, /take/cameras; textures are beside it.

    Metres, Y up; time codes count frames from 0. Points are in the capture's axes; where those are not Y up, the root
    turns them. Raises HeadfitError where usd-core is not installed.
    """
    try:
        from headfit.export.usd_stage import UsdStage
    except ImportError as error:
        raise HeadfitError("the format usd needs usd-core: pip install 'headfit[usd]'") from error
    stage = UsdStage(folder, take)

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        for mesh, (vertices, normals) in zip(stage.meshes, surfaces, strict=True):
            stage.set_frame(mesh, frame, vertices, normals)

    yield write
    stage.save(folder / "take.usdc")
