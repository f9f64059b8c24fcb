"""Choosing the local frame of a fit: near the head, and the head in its natural size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.source import CaptureSource
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.fitting.checkpoints import load_checkpoint
from headfit.fitting.config import FitConfig
from headfit.fitting.placement import Placer
from headfit.head import load

#: Sizes relative to the model's head that a head may have; beyond, the capture's unit is considered wrong or arbitrary.
PLAUSIBLE_SIZE = (0.6, 1.6)


def enter_local_frame(
    capture: CaptureSource, config: FitConfig, checkpoint: Mapping[str, Any] | None = None
) -> WorldFrame:
    """Move the cameras of a capture that has just been opened into the local frame of its fit, and return that frame.

    Args:
        capture: its cameras are replaced.
        config: the settings of the fit.
        checkpoint: the content of the run's own checkpoint when it is resumed; its frame is kept.
    """
    if checkpoint is not None:
        world = _frame_of(checkpoint)
        _enter(capture, world)
        return world
    world = WorldFrame.around(capture.cameras)
    if config.init_from:
        known = _frame_of(load_checkpoint(Path(config.init_from)))
        world = replace(world, scale=known.scale, reason=known.reason)
    _enter(capture, world)
    size = _head_size(capture, config)
    if size is None or PLAUSIBLE_SIZE[0] <= size <= PLAUSIBLE_SIZE[1]:
        return world
    evidence = "landmarks" if config.use_landmarks else "masks"
    _enter(capture, WorldFrame(np.zeros(3), 1 / size))
    size = size / world.scale
    return replace(
        world, scale=1 / size, reason=f"{evidence}: by its units the head would be {size:.3g} times as large"
    )


def _frame_of(checkpoint: Mapping[str, Any]) -> WorldFrame:
    return CaptureSummary.from_dict(checkpoint["capture"]).world if "capture" in checkpoint else WorldFrame.identity()


def _enter(capture: CaptureSource, world: WorldFrame) -> None:
    if not world.is_identity:
        capture.cameras = [world.local_camera(camera) for camera in capture.cameras]


def _head_size(capture: CaptureSource, config: FitConfig) -> float | None:
    head = load(config.head)
    held_out = {capture.camera_index(name) for name in config.hold_out}
    cameras = [index for index in range(len(capture.cameras)) if index not in held_out]
    return Placer(head, head.rest(), capture, cameras, config.use_landmarks and head.has_landmarks).head_size()
