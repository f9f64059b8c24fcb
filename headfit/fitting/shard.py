"""One shard of a take as a process of its own: `python -m headfit.fitting.shard RUN INDEX COUNT`.

It begins with the person in the run folder RUN and works in a folder of its own below it, with checkpoints after every
window. Started again, it continues from there.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from headfit.errors import HeadfitError
from headfit.files import write_atomically
from headfit.fitting.run import fit
from headfit.fitting.settings import load_run_settings
from headfit.fitting.windows import Shard
from headfit.interruption import Interrupted, signals_raise

#: Folder of the shards in the run folder; and in a shard's the number of steps that it has done.
SHARDS, PROGRESS = "shards", "progress"
#: Exit status of a shard whose driver is gone.
ORPHANED = 3
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
        resume=False,  # `fit` continues from what it finds there once the folder is its own
        steps_per_picture=NEVER,
        cache_gib=args.cache_gib if args.cluster else args.cache_gib / count,
    )
    fit(config, args, part=Shard(index, count), person=Path(run), callbacks=[_Progress(folder / PROGRESS)])


class _Progress(Callback):
    """Writes the number of steps that are done."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        write_atomically(self.file, str(trainer.global_step))


def _end_with_driver() -> None:
    """End this process when its standard input ends: the driver holds the other side of that pipe, which the system
    closes however the driver dies. As after any kill, the last checkpoint stays."""
    os.read(sys.stdin.fileno(), 1)  # waits: nothing is ever written
    print("headfit: the process that started this shard is gone; stopped", file=sys.stderr, flush=True)
    os._exit(ORPHANED)


def main() -> int:
    """The process of a shard; it lives no longer than the one at the other end of its standard input. Returns its exit
    status."""
    run, index, count = sys.argv[1:]
    threading.Thread(target=_end_with_driver, name="driver", daemon=True).start()
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
