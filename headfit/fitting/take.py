"""A take over several processes: the person here, then shards of its frames, then one run folder with all of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from headfit.capture import open_capture
from headfit.errors import HeadfitError
from headfit.files import make_folder, read_text
from headfit.fitting.checkpoints import checkpoint_step, find_checkpoint, keep_checkpoint, load_checkpoint
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.engines import Engine, Job, engine_of
from headfit.fitting.groups import entry_of
from headfit.fitting.lock import locked
from headfit.fitting.run import fit
from headfit.fitting.run_folder import GATHERED, PREFIX, Run, load_run
from headfit.fitting.schedule import Plan
from headfit.fitting.settings import load_run_settings
from headfit.fitting.shard import PROGRESS, SHARDS, shard_folder
from headfit.fitting.validation import validate_args
from headfit.fitting.windows import INDEPENDENT, Shard, windows_of

#: Times that a shard is started again after it was killed; seconds between two looks at the shards.
MAX_RESTARTS, PAUSE = 3, 0.5


def fit_take(config: FitConfig, args: RunArgs) -> Run:
    """Run the whole fit like `headfit.fitting.run.fit`, its independent stages in `args.workers` processes.

    Raises:
        HeadfitError: as `fit`, or a shard failed; the message says where its log is.
        Interrupted: the process was asked to stop. `--resume` continues, with the same numbers.
    """
    validate_args(args)
    if not any(stage.frames in INDEPENDENT for stage in config.stages.values()):
        raise HeadfitError(
            "--workers: no stage of the configuration can be shared (frames: apart or seams); start with "
            "--config configs/take.yaml"
        )
    engine, run = engine_of(args), Path(args.out)
    if not (args.resume and _is_gathered(run)):
        fit(config, args, part="person")
        make_folder(run / SHARDS)
        with locked(run / SHARDS):
            plans = _plans(run, args)
            _run_shards(engine, run, plans)
            _gather(run, plans)
    return load_run(run)


def _is_gathered(run: Path) -> bool:
    return find_checkpoint(run) is not None and GATHERED in load_checkpoint(run)


def _plans(run: Path, args: RunArgs) -> list[Plan]:
    """The plan of each shard; no more shards than there are windows."""
    config, _ = load_run_settings(run)
    frames = len(open_capture(args.capture, args.selection).frames)

    def plan(shard: Shard) -> Plan:
        return Plan(config.stages, config.steps_per_checkpoint, frames, config.key_frames, shard)

    first = next(stage for stage in config.stages.values() if stage.frames in INDEPENDENT)
    windows = len(windows_of(first, plan(Shard(0, 1)).owned))
    count = min(args.workers, windows)
    return [plan(Shard(index, count)) for index in range(count)]


def _run_shards(engine: Engine, run: Path, plans: Sequence[Plan]) -> None:
    """Run all shards to their ends, with one progress bar. Those that run are stopped when anything goes wrong."""
    count = len(plans)
    folders = [shard_folder(run, Shard(index, count)) for index in range(count)]
    for folder in folders:
        make_folder(folder)
    jobs: dict[int, Job] = {}
    restarts = dict.fromkeys(range(count), 0)
    total = sum(plan.steps for plan in plans)
    try:
        for index in range(count):
            jobs[index] = engine.start(run, index, count)
        with tqdm(total=total, desc=f"fit: {count} shards", unit="step", dynamic_ncols=True, file=sys.stderr) as bar:
            while jobs:
                time.sleep(PAUSE)
                for index, job in list(jobs.items()):
                    status = job.poll()
                    if status == 0:
                        del jobs[index]
                    elif status is not None and status < 0 and restarts[index] < MAX_RESTARTS:
                        restarts[index] += 1
                        jobs[index] = engine.start(run, index, count)
                    elif status is not None:
                        del jobs[index]
                        raise HeadfitError(f"shard {index + 1} of {count} failed: {job.reason()}")
                bar.n = sum(_steps_done(folder) for folder in folders)
                bar.refresh()
    finally:
        for job in jobs.values():
            job.stop()


def _steps_done(folder: Path) -> int:
    try:
        return int(read_text(folder / PROGRESS))
    except (OSError, ValueError):
        return 0


def _gather(run: Path, plans: Sequence[Plan]) -> None:
    """Write the run's last checkpoint: the person, and of each shard the frames for which it answers."""
    checkpoint = load_checkpoint(run)
    state: dict[str, Any] = checkpoint["state_dict"]
    for index, plan in enumerate(plans):
        folder = shard_folder(run, Shard(index, len(plans)))
        found = find_checkpoint(folder)
        if found is None or checkpoint_step(found) != plan.steps:
            raise HeadfitError(f"{folder}: the shard is not complete; continue with --resume")
        shard = load_checkpoint(folder)
        of_shard, checkpoint["capture"] = shard["state_dict"], shard["capture"]  # whose masks may be the shards' own
        for name, value in state.items():
            if name.startswith(PREFIX) and entry_of(name.removeprefix(PREFIX)).scope == "frame":
                value[plan.owned] = of_shard[name][plan.owned]
        state[f"{PREFIX}visited"][plan.owned] = True  # a shard that ends with a window apart knows only that one
    checkpoint[GATHERED] = len(plans)
    keep_checkpoint(run, partial(torch.save, checkpoint))
