"""Warm start: what a new fit of the same person takes from an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from headfit.capture.camera import Camera
from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import load_checkpoint
from headfit.fitting.config import FitConfig
from headfit.fitting.groups import entry_of
from headfit.fitting.model import FittedHead
from headfit.fitting.run_folder import model_state, unfinished
from headfit.fitting.settings import CONFIG, load_config, load_run_settings

#: A camera is the same one when its rotation and translation agree to this (radians, and metres).
MAX_POSE_DIFFERENCE = 1e-3


def inherit_settings(config: FitConfig) -> FitConfig:
    """`config` with the settings that must equal those of `init_from`; its parameters mean nothing under others.

    Raises:
        HeadfitError: there is no such run, or it fitted another head model.
    """
    known = _known_config(config)
    if known.head != config.head:
        raise HeadfitError(
            f"{config.init_from}: fitted head model {known.head!r}, not {config.head!r}; pass head={known.head} or "
            "start without --init-from"
        )
    return replace(config, texture_size=known.texture_size, offset_smoothness=known.offset_smoothness)


@torch.no_grad()
def load_person(model: FittedHead) -> str:
    """Copy person, texture and light of the run `init_from`, and the colours of the cameras that both have.

    Returns one line about what was taken.

    Raises:
        HeadfitError: the run has no intact checkpoint, or it does not fit.
    """
    path = Path(model.config.init_from)
    checkpoint = load_checkpoint(path)
    saved, state = model_state(checkpoint), model.state_dict()
    if "capture" not in checkpoint:
        raise HeadfitError(f"{path}: was made by an earlier version of headfit; fit that person again")
    same = _same_cameras(CaptureSummary.from_dict(checkpoint["capture"]).cameras, model.capture.cameras)
    for name, value in state.items():
        scope = entry_of(name).scope
        if scope not in ("person", "look", "camera"):
            continue
        if name not in saved or saved[name].shape[scope == "camera" :] != value.shape[scope == "camera" :]:
            raise HeadfitError(f"{path}: its {name} does not fit this version or head model; fit that person again")
        if scope == "camera":
            for new, old in same.items():
                value[new] = saved[name][old]
        else:
            value.copy_(saved[name])
    left = unfinished(checkpoint, load_run_settings(path)[1])
    known = f"{path} (not finished: {left})" if left else str(path)
    return (
        f"known person: {known}; colours of {len(same)} of {len(model.capture.cameras)} cameras taken"
        f"{'' if same else ': no camera is the same, so their gains and residual light start from zero'}"
    )


def _known_config(config: FitConfig) -> FitConfig:
    path = Path(config.init_from) / CONFIG
    if not path.exists():
        raise HeadfitError(f"--init-from {config.init_from}: no run there (there is no {CONFIG})")
    return load_config(path)


def _same_cameras(known: list[Camera], cameras: list[Camera]) -> dict[int, int]:
    """Index of each camera that has the same name and pose in both -> index among the known ones."""
    ids = {camera.id: index for index, camera in enumerate(known)}
    same = {}
    for index, camera in enumerate(cameras):
        old = ids.get(camera.id)
        if old is not None and all(
            np.abs(a - b).max() < MAX_POSE_DIFFERENCE for a, b in ((camera.R, known[old].R), (camera.t, known[old].t))
        ):
            same[index] = old
    return same
