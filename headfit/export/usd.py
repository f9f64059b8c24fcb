"""USD: one stage with the head, its hair and the cameras; part subsets, preview materials. Meshes move by the points of
every frame, or by a skeleton and blend shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from headfit.errors import HeadfitError
from headfit.export.skinned import SkinnedTake
from headfit.export.take import FrameWriter, Take


@contextmanager
def usd_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """`take.usdc`: /take with /take/head, /take/hair, /take/cameras; textures are beside it.

    Metres, Y up; time codes count frames from 0. Points are in the capture's axes; where those are not Y up, the root
    turns them. Raises HeadfitError where usd-core is not installed.
    """
    stage = _module("headfit.export.usd_stage", "usd").UsdStage(folder, take)

    def write(frame: int, surfaces: list[tuple[np.ndarray, np.ndarray]]) -> None:
        for mesh, (vertices, normals) in zip(stage.meshes, surfaces, strict=True):
            stage.set_frame(mesh, frame, vertices, normals)

    yield write
    stage.save(folder / "take.usdc")


@contextmanager
def usd_skeleton_writer(folder: Path, take: Take) -> Iterator[FrameWriter]:
    """`take_skeleton.usdc`: like `usd_writer`, but in /take/rig UsdSkel moves the meshes. The whole take is in memory
    while it is written."""
    module = _module("headfit.export.usd_skeleton", "usd-skeleton")
    skinned = SkinnedTake(take)
    yield skinned.write
    module.write_skeleton(folder, skinned, "take_skeleton.usdc")


def _module(name: str, of_format: str) -> Any:
    """A module that needs usd-core. Raises HeadfitError where that is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise HeadfitError(f"the format {of_format} needs usd-core: pip install 'headfit[usd]'") from error
