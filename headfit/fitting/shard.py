"""One shard of a take as a process of its own: `python -m headfit.fitting.shard RUN INDEX COUNT`.

It begins with the person in the run folder RUN and works in a folder of its own below it, with checkpoints after every
window. Started again, it continues from there.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from headfit.errors import HeadfitError
from headfit.files import write_atomically
from headfit.fitting.checkpoints import find_checkpoint
from headfit.fitting.run import fit
from headfit.fitting.settings import load_run_settings
from headfit.fitting.windows import Shard
from headfit.interruption import Interrupted, signals_raise

#: Folder of the shards in the run folder; and in a shard's the number of steps that it has done.
SHARDS, PROGRESS = "shards", "progress"
#: Environment variable: the process without which a shard must not go on.
DRIVER = "HEADFIT_DRIVER"
#: A shard draws no pictures for TensorBoard.
NEVER = 1_000_000


def shard_folder(run: Path, shard: Shard) -> Path:
    """Where a shard works: another number of shards has other folders."""
    return run / SHARDS / f"{shard.index + 1}-of-{shard.count}"


def track_shard(run: str, index: int, count: int) -> None:
    """Fit a shard's windows, or those that are left of them.

    Args:
        run: the run folder, with a fitted person.
        index: number of the shard, from 0.
        count: number of shards.
    """
    folder = shard_folder(Path(run), Shard(index, count))
    config, args = load_run_settings(Path(run))
    args = replace(
        args,
        out=str(folder),
        resume=folder.exists() and find_checkpoint(folder) is not None,
        steps_per_picture=NEVER,
        cache_gib=args.cache_gib if args.cluster else args.cache_gib / count,
    )
    fit(config, args, part=Shard(index, count), person=Path(run), callbacks=[_Progress(folder / PROGRESS)])


class _Progress(Callback):
    """Writes the number of steps that are done, and stops when the driver has died, of which one on the same machine
    cannot tell its shards."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        write_atomically(self.file, str(trainer.global_step))
        driver = os.environ.get(DRIVER)
        if driver and os.getppid() != int(driver):
            raise HeadfitError("the process that started this shard is gone; stopped")


def main() -> int:
    """The process of a shard. Returns its exit status."""
    run, index, count = sys.argv[1:]
    try:
        with signals_raise():
            track_shard(run, int(index), int(count))
    except HeadfitError as error:
        print(f"headfit: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        return stop.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
