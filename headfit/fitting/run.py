"""Running a fit: from settings to a run folder."""

from __future__ import annotations

import ctypes
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from headfit.capture import CaptureSource, open_capture
from headfit.capture.data import CaptureData
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError
from headfit.files import write_atomically
from headfit.fitting.callbacks import KeepLast, Pictures, StageProgress
from headfit.fitting.checkpoints import CHECKPOINT, find_checkpoint, load_checkpoint
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.local_frame import enter_local_frame
from headfit.fitting.model import FittedHead
from headfit.fitting.module import HeadFit
from headfit.fitting.parallel import ManualGradientSync
from headfit.fitting.run_folder import ENVIRONMENT, SKIPPED, TENSORBOARD, Run, environment
from headfit.fitting.schedule import Plan
from headfit.fitting.settings import CONFIG, load_run_settings, save_settings
from headfit.fitting.terms import TERMS, Term
from headfit.fitting.warm_start import inherit_settings, load_person

#: Numbers of glibc's malloc.h.
MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_THRESHOLD = -1, -3
MAX_TEXTURE_SIZE = 2048


def fit(
    config: FitConfig,
    args: RunArgs,
    *,
    terms: Mapping[str, Term] = TERMS,
    callbacks: Sequence[pl.Callback] = (),
) -> Run:
    """Run the whole fit and leave a run folder: settings, checkpoint, TensorBoard events, pictures.

    Args:
        config: what decides the numbers.
        args: where to read, write and compute.
        terms: the loss terms by name.
        callbacks: Lightning callbacks besides those that keep checkpoints and pictures and show the progress.

    Raises:
        HeadfitError: bad input, a folder that already holds another run, a run resumed with other settings, or a loss
            that is not finite.
    """
    run = Path(args.out)
    capture = open_capture(args.capture)
    config = inherit_settings(config) if config.init_from else config
    config = replace(config, texture_size=config.texture_size or texture_size_for(capture))
    checkpoint = _claim(run, config, args)
    keep_freed_memory()
    # Deterministic mode would fill all new memory, which nothing reads, at a tenth of a step's cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    world = enter_local_frame(capture, config, load_checkpoint(run) if checkpoint else None)
    if not world.is_identity:
        print(f"{capture.location}: {world}", file=sys.stderr)
    module = build(config, args, capture, terms, world)
    _require_a_view_each(module, _processes(args))
    trainer = _trainer(module, run, args, callbacks)
    if trainer.is_global_zero:
        save_settings(config, replace(args, resume=False), run)
        write_atomically(run / ENVIRONMENT, json.dumps(environment(), indent=1))
    if checkpoint is None:
        if config.init_from:
            print(load_person(module.model), file=sys.stderr)
        initialise_pose(module.model, capture)
    with warnings.catch_warnings():
        # Lightning suggests worker processes; views come from the in-process cache, decoded once.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*smaller than the logging interval.*")
        trainer.fit(module, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=False)
    if trainer.is_global_zero:
        write_atomically(run / SKIPPED, json.dumps(module.data.skipped, indent=1))
    return Run(run, module.model, args)


def build(
    config: FitConfig,
    args: RunArgs,
    capture: CaptureSource,
    terms: Mapping[str, Term] = TERMS,
    world: WorldFrame | None = None,
) -> HeadFit:
    """The module of a fit with its data, parameters at their initial values.

    `capture` is in the local frame `world` already (see `enter_local_frame`).

    Raises:
        HeadfitError: the head cannot be loaded, a held-out camera is unknown, or nothing is left to train on.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    model = FittedHead.build(config, CaptureSummary.of(capture, world))
    data = CaptureData(
        capture,
        model.classes,
        hold_out=config.hold_out,
        seed=config.seed,
        cache_bytes=int(args.cache_gib * 2**30) // _processes(args),
    )
    plan = Plan(config.stages, config.steps_per_checkpoint, len(capture.frames), config.key_frames)
    return HeadFit(model, data, plan, terms)


def _trainer(module: HeadFit, run: Path, args: RunArgs, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    own = [StageProgress(), KeepLast(run), Pictures(run, args.steps_per_picture)]
    settings: dict[str, Any] = {
        "logger": TensorBoardLogger(run, name=None, version=TENSORBOARD),
        "callbacks": [*own, *callbacks],
        "max_epochs": len(module.plan.chunks),
        "reload_dataloaders_every_n_epochs": 1,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
        "deterministic": module.model.config.deterministic,
        "strategy": ManualGradientSync() if _processes(args) > 1 else "auto",
    }
    return pl.Trainer(**{**settings, **args.trainer})


def texture_size_for(capture: CaptureSource) -> int:
    """Texels per side that suit a capture: the power of two at or above the median camera's longer side, up to 2048.

    The default layout draws the face at about 0.8 mm a texel at 512, which is what a pixel shows when a head fills a
    picture of 512. Texels finer than pixels are seen by few of them and learn their noise.
    """
    longer_side = int(np.median([camera.longest_side for camera in capture.cameras]))
    return min(MAX_TEXTURE_SIZE, 1 << max(8, (longer_side - 1).bit_length()))


def _processes(args: RunArgs) -> int:
    """Number of processes that the trainer's settings ask for; what Lightning is left to find out counts as 1."""
    devices, nodes = args.trainer.get("devices", 1), args.trainer.get("num_nodes", 1)
    return devices * nodes if isinstance(devices, int) else 1


def _require_a_view_each(module: HeadFit, processes: int) -> None:
    for chunk in module.plan.chunks:
        name, stage = chunk.stage, module.plan.stages[chunk.stage]
        frames = min(stage.frames_per_step, len(chunk.frames))
        views = frames * min(stage.views_per_frame, len(module.model.training_cameras))
        if views < processes:
            raise HeadfitError(
                f"stage {name}: a step of {views} views cannot be shared by {processes} processes; raise "
                "frames_per_step or views_per_frame, or lower trainer.devices"
            )


def _claim(run: Path, config: FitConfig, args: RunArgs) -> Path | None:
    """Make the run folder, or find the checkpoint to continue from; None: start at the first step."""
    if args.resume:
        if not (run / CONFIG).exists():
            raise HeadfitError(f"{run}: nothing to resume: no {CONFIG} there; start without --resume")
        _require_same_settings(run, config)
        return find_checkpoint(run)
    if (run / CHECKPOINT).exists():
        raise HeadfitError(f"{run}: already holds a run; continue it with --resume, or choose another --out")
    run.mkdir(parents=True, exist_ok=True)
    return None


def _require_same_settings(run: Path, config: FitConfig) -> None:
    saved = asdict(load_run_settings(run)[0])
    changed = [key for key, value in asdict(config).items() if saved[key] != value]
    if changed:
        raise HeadfitError(
            f"{run}: --resume with another {changed[0]} than the run began with (see {run / CONFIG}); "
            "resume without --config and overrides, or start a new run"
        )


def keep_freed_memory() -> None:
    """Have glibc keep freed image buffers for the next step instead of returning them to the system.

    It would unmap blocks above 32 MiB at once, and every step would spend a quarter of its time on fresh zeroed pages.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MALLOPT_MMAP_THRESHOLD, 2**30)
        libc.mallopt(MALLOPT_TRIM_THRESHOLD, 2**31 - 1)
