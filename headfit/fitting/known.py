"""Fitting a person who is known: what a new fit takes from an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headfit.capture.camera import Camera
from headfit.capture.capture import Capture
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import load_checkpoint
from headfit.fitting.config import CONFIG, FitConfig, load_config

if TYPE_CHECKING:
    from headfit.fitting.module import HeadFit

#: What belongs to the person, and what to the light of the studio.
PERSON = ("geometry.log_scale", "geometry.identity", "geometry.placement_raw", "geometry.offset_field")
LOOK = (
    *(f"appearance.{name}" for name in ("levels", "light", "gloss", "background", "torso")),
    "texture_started",
)
#: What belongs to one camera, as rows.
OF_CAMERA = ("appearance.camera_light", "appearance.log_gain")
#: A camera is the same one when its matrices agree to this (metres, and radians).
SAME_POSE = 1e-3


def like_known(config: FitConfig) -> FitConfig:
    """The settings with those that the run `config.init_from` decides: what its parameters mean hangs on them.

    Raises HeadfitError when there is no such run, or it fitted another head model.
    """
    known = _known_config(config)
    if known.head != config.head:
        raise HeadfitError(
            f"{config.init_from}: fitted head model {known.head!r}, not {config.head!r}; pass head={known.head} or "
            "start without --init-from"
        )
    return replace(config, texture_size=known.texture_size, offset_smoothness=known.offset_smoothness)


def take_known(fit: HeadFit) -> str:
    """Copy person, texture and light of the run `init_from` into `fit`, and the colours of the cameras that both have.

    Returns one line about what was taken. Raises HeadfitError when the run has no whole checkpoint, or it does not fit.
    """
    path = Path(fit.config.init_from)
    saved = load_checkpoint(path)["state_dict"]
    state = fit.state_dict()
    for name in (name for name in state if name.startswith((*PERSON, *LOOK))):
        if name not in saved or saved[name].shape != state[name].shape:
            raise HeadfitError(f"{path}: its {name} does not fit this version or head model; fit that person anew")
        state[name].copy_(saved[name])
    same = _same_cameras(Capture.open(_known_config(fit.config).capture).cameras, fit.capture.cameras)
    for name in OF_CAMERA:
        for new, old in same.items():
            state[name][new] = saved[name][old]
    return (
        f"known person: {path}; colours of {len(same)} of {len(fit.capture.cameras)} cameras taken"
        f"{'' if same else ': no camera is the same, so their gains and residual light start anew'}"
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
            np.abs(a - b).max() < SAME_POSE for a, b in ((camera.R, known[old].R), (camera.t, known[old].t))
        ):
            same[index] = old
    return same
