"""Running a fit: from settings to a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from headfit.capture import CaptureSource, open_capture
from headfit.capture.consistency import require_consistent
from headfit.capture.data import CaptureData
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.errors import HeadfitError
from headfit.files import describe, make_folder, write_atomically
from headfit.fitting.callbacks import DescribeRun, KeepLast, Pictures, StageProgress, StopWhenAsked, WholeFileIO
from headfit.fitting.checkpoints import (
    CHECKPOINT,
    PREVIOUS,
    checkpoint_step,
    find_checkpoint,
    keep_checkpoint,
    load_checkpoint,
)
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.fit_masks import reason_to_make_masks
from headfit.fitting.guard import Guard
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.local_frame import enter_local_frame
from headfit.fitting.lock import BEAT, STALE, locked
from headfit.fitting.mask_maker import MaskMaker, use_known_masks
from headfit.fitting.model import FittedHead
from headfit.fitting.module import HeadFit
from headfit.fitting.notices import without_library_notices
from headfit.fitting.parallel import ManualGradientSync, is_first_process
from headfit.fitting.run_folder import ENVIRONMENT, HARMFUL, SKIPPED, TENSORBOARD, Run, environment, model_state
from headfit.fitting.schedule import Part, Plan
from headfit.fitting.settings import CONFIG, load_run_settings, save_settings
from headfit.fitting.terms import TERMS, Term
from headfit.fitting.validation import device_type, process_count, trainer_devices, validate_args, validate_config
from headfit.fitting.warm_start import inherit_settings, load_person
from headfit.fitting.windows import TRACKED
from headfit.interruption import Interrupted
from headfit.segmentation.teeth import with_teeth

MAX_TEXTURE_SIZE = 2048


def fit(
    config: FitConfig,
    args: RunArgs,
    *,
    terms: Mapping[str, Term] = TERMS,
    callbacks: Sequence[pl.Callback] = (),
    part: Part = None,
    person: Path | None = None,
) -> Run:
    """Run the whole fit and leave a run folder: settings, checkpoint, TensorBoard events, pictures.

    Args:
        config: what decides the numbers.
        args: where to read, write and compute.
        terms: the loss terms by name.
        callbacks: Lightning callbacks besides those that keep checkpoints and pictures and show the progress.
        part: what is done of the fit; see `Plan`.
        person: of a shard: the run folder with the fitted person.

    Raises:
        HeadfitError: impossible settings, bad input, evidence that contradicts itself, a folder that already holds
            another run or in which another fit is running, a run resumed with other settings, a loss that is not
            finite, or a file that cannot be written.
        Interrupted: the process was asked to stop; its message says what is kept and how to continue.
    """
    validate_config(config, "settings")
    validate_args(args)
    run = Path(args.out)
    capture = open_capture(args.capture, args.selection)
    _require_training_camera(config, capture)
    if not args.resume and not person:
        for oddity in require_consistent(capture, config.use_landmarks):
            print(f"headfit: warning: {oddity}", file=sys.stderr)
        if with_teeth(capture) is not capture and is_first_process():
            print("headfit: the masks tell no parts inside of the mouth: colours tell the teeth", file=sys.stderr)
    # The saved settings of a run have what it inherited; the person's run may have moved since.
    inherits = config.init_from and not person and (not args.resume or (Path(config.init_from) / CONFIG).exists())
    config = inherit_settings(config) if inherits else config
    config = replace(config, texture_size=config.texture_size or texture_size_for(capture))
    if args.resume and not (run / CONFIG).exists():
        raise HeadfitError(f"{run}: nothing to resume: no {CONFIG} there; start without --resume")
    make_folder(run)
    # Only its driver starts a shard, after the last process that worked on it has died, maybe on another machine.
    patience = STALE + BEAT if person else 0.0
    with locked(run, patience) if is_first_process() else nullcontext() as lock:
        args = replace(args, resume=find_checkpoint(run) is not None) if person else args
        checkpoint = _checkpoint_to_continue(run, config, args)
        kept = KeepLast(run, checkpoint_step(checkpoint) if checkpoint else 0)
        try:
            guard, pictures = Guard(), Pictures(run, args.steps_per_picture)
            # A shard moves no person, and its numbers must not depend on its share of the frames: nothing to judge.
            judged = [] if person else [StageProgress(), guard]
            own = [MaskMaker(person or run), *judged, kept, DescribeRun(), pictures, StopWhenAsked(lock)]
            module = build(config, args, capture, terms, _local_frame(config, args, capture, checkpoint, person), part)
            _run_stages(module, args, checkpoint, [*own, *callbacks], person)
            if is_first_process():
                write_atomically(run / HARMFUL, json.dumps([asdict(harm) for harm in guard.harmful], indent=1))
        except Interrupted as stop:
            stop.message = f"{stop.message}. {_how_to_continue(args, kept.step)}" if is_first_process() else ""
            raise
        except OSError as error:
            raise HeadfitError(f"{describe(error, run)}. Then: {_how_to_continue(args, kept.step)}") from error
    return Run(run, module.model, args)


def _local_frame(
    config: FitConfig, args: RunArgs, capture: CaptureSource, checkpoint: Path | None, person: Path | None
) -> WorldFrame:
    """The local frame of a fit that begins, is continued, or begins with a fitted person."""
    known = load_checkpoint(Path(args.out)) if checkpoint else load_checkpoint(person) if person else None
    world = enter_local_frame(capture, config, known)
    if not world.is_identity and is_first_process():
        print(f"{capture.location}: {world}", file=sys.stderr)
    return world


def _run_stages(
    module: HeadFit, args: RunArgs, checkpoint: Path | None, callbacks: Sequence[pl.Callback], person: Path | None
) -> None:
    """Run all stages of a module; the run folder is this process's."""
    run, config = Path(args.out), module.model.config
    # Deterministic mode would fill all new memory, which nothing reads, at a tenth of a step's cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _require_a_view_each(module, process_count(args))
    with without_library_notices():
        trainer = _trainer(module, args, callbacks, first_step=checkpoint_step(checkpoint) if checkpoint else 0)
        if trainer.is_global_zero:
            save_settings(config, replace(args, resume=False), run)
            write_atomically(run / ENVIRONMENT, json.dumps(environment(), indent=1))
        if checkpoint is None:
            _begin(module, person)
        if module.plan.chunks:
            trainer.fit(module, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
        elif checkpoint is None:  # a known person, whose frames other processes fit
            keep_checkpoint(run, partial(torch.save, _first_checkpoint(module)))
    if trainer.is_global_zero:
        write_atomically(run / SKIPPED, json.dumps(module.data.skipped, indent=1))


def _begin(module: HeadFit, person: Path | None) -> None:
    """Set the initial values: those of a run folder with the fitted person and the initial poses, or new ones."""
    if person:
        checkpoint = load_checkpoint(person)
        use_known_masks(module, checkpoint, person)
        module.model.load_state_dict(model_state(checkpoint))
        return
    if module.model.config.init_from:
        print(load_person(module.model), file=sys.stderr)
    initialise_pose(module.model, module.data.capture)


def _first_checkpoint(module: HeadFit) -> dict[str, Any]:
    return {"global_step": 0, "state_dict": module.state_dict(), **module.model.identification()}


def _how_to_continue(args: RunArgs, step: int) -> str:
    kept = f"The checkpoint of step {step} is kept; the steps after it are lost" if step else "No checkpoint yet"
    if not (Path(args.out) / CONFIG).exists():
        return f"{kept}: start it again"
    shared = f" --workers {args.workers}" if args.workers else ""
    again = f"headfit fit --capture {quote(args.capture)} --out {quote(args.out)} --resume{shared}"
    return f"{kept}. Continue with: {again}"


def build(
    config: FitConfig,
    args: RunArgs,
    capture: CaptureSource,
    terms: Mapping[str, Term] = TERMS,
    world: WorldFrame | None = None,
    part: Part = None,
) -> HeadFit:
    """The module of a fit, or of a part of it, with its data, parameters at their initial values.

    `capture` is in the local frame `world` already (see `enter_local_frame`).

    Raises:
        HeadfitError: the head cannot be loaded, a held-out camera is unknown, or nothing is left to train on.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    capture = with_teeth(capture)
    model = FittedHead.build(config, CaptureSummary.of(capture, world))
    data = CaptureData(
        capture,
        model.classes,
        hold_out=config.hold_out,
        seed=config.seed,
        cache_bytes=int(args.cache_gib * 2**30) // process_count(args),
        dense=model.dense_numbers,
    )
    asked = any(stage.make_masks and stage.frames not in TRACKED for stage in config.stages.values())
    makes_masks = asked and reason_to_make_masks(model, capture) is not None
    has_hair = model.has_hair or (makes_masks and model.hair.exists)
    stages = {name: stage for name, stage in config.stages.items() if has_hair or not stage.moves_only("hair")}
    plan = Plan(stages, config.steps_per_checkpoint, len(capture.frames), config.key_frames, part)
    return HeadFit(model, data, plan, terms)


def _trainer(module: HeadFit, args: RunArgs, callbacks: Sequence[pl.Callback], first_step: int) -> pl.Trainer:
    return pl.Trainer(
        **{
            **args.trainer,
            "accelerator": device_type(args),
            "devices": trainer_devices(args),
            # What an interrupted run has logged of the steps from here on, which are done again, is purged.
            "logger": TensorBoardLogger(args.out, name=None, version=TENSORBOARD, purge_step=first_step),
            "callbacks": list(callbacks),
            "plugins": [WholeFileIO()],
            "max_epochs": len(module.plan.chunks),
            "reload_dataloaders_every_n_epochs": 1,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "deterministic": module.model.config.deterministic,
            "strategy": ManualGradientSync() if process_count(args) > 1 else "auto",
        }
    )


def texture_size_for(capture: CaptureSource) -> int:
    """Texels per side that suit a capture: the power of two at or above the median camera's longer side, up to 2048.

    The default layout draws the face at about 0.8 mm a texel at 512, which is what a pixel shows when a head fills a
    picture of 512. Texels finer than pixels are seen by few of them and learn their noise.
    """
    longer_side = int(np.median([camera.longest_side for camera in capture.cameras]))
    return min(MAX_TEXTURE_SIZE, 1 << max(8, (longer_side - 1).bit_length()))


def _require_training_camera(config: FitConfig, capture: CaptureSource) -> None:
    held_out = {capture.camera_index(name) for name in config.hold_out}
    if len(held_out) == len(capture.cameras):
        raise HeadfitError(
            f"hold_out names every camera of capture {capture.name} ({', '.join(config.hold_out)}); none is left to "
            "train on"
        )


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


def _checkpoint_to_continue(run: Path, config: FitConfig, args: RunArgs) -> Path | None:
    """The checkpoint of a locked run folder to continue from; None: start at the first step.

    Raises:
        HeadfitError: the folder holds a run that is not to be resumed, or one with other settings.
    """
    if args.resume:
        _require_same_settings(run, config, args)
        checkpoint = find_checkpoint(run)
        if checkpoint == run / PREVIOUS and is_first_process():
            (run / CHECKPOINT).unlink(missing_ok=True)  # damaged: it must not become the previous one
        return checkpoint
    if (run / CHECKPOINT).exists() or (run / PREVIOUS).exists():
        raise HeadfitError(f"{run}: already holds a run; continue it with --resume, or choose another --out")
    return None


def _require_same_settings(run: Path, config: FitConfig, args: RunArgs) -> None:
    known, began = load_run_settings(run)
    if bool(began.workers) != bool(args.workers):
        began_with = f"with --workers {began.workers}" if began.workers else "without --workers"
        remedy = "with any number of workers" if began.workers else "without --workers"
        raise HeadfitError(f"{run}: was begun {began_with}; resume it {remedy}, or start a new run")
    saved = asdict(known)
    changed = [key for key, value in asdict(config).items() if saved[key] != value]
    if changed:
        raise HeadfitError(
            f"{run}: --resume with another {changed[0]} than the run began with (see {run / CONFIG}); "
            "resume without --config and overrides, or start a new run"
        )
