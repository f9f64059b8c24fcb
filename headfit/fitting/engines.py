"""What runs the shards of a take: processes of this machine, or jobs of SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from headfit.errors import HeadfitError
from headfit.fitting.config import RunArgs
from headfit.fitting.shard import shard_folder
from headfit.fitting.slurm import SlurmEngine
from headfit.fitting.windows import Shard

#: Output of a shard's process, in its folder.
LOG = "log.txt"
#: Seconds that a process has to write what it must, after it was asked to stop.
GRACE = 20.0


class Job(Protocol):
    """A shard that runs somewhere."""

    def poll(self) -> int | None:
        """None while it runs, then 0 where it came to its end, negative where it was killed."""

    def reason(self) -> str:
        """Why it failed, in one line."""

    def stop(self) -> None:
        """Stop it; its last checkpoint stays."""


class Engine(Protocol):
    """Starts shards."""

    def start(self, run: Path, index: int, count: int) -> Job:
        """Start a shard, or continue it from its last checkpoint."""


def engine_of(args: RunArgs) -> Engine:
    """The engine that the settings name. Raises HeadfitError where there is none, or it is not installed."""
    if args.cluster == "slurm":
        return SlurmEngine(dict(args.slurm))
    if args.cluster:
        raise HeadfitError(f"--cluster {args.cluster}: not a cluster; use slurm, or leave it away for this machine")
    return LocalEngine()


class LocalEngine:
    """Each shard is a process of this machine, with its share of the cores."""

    def start(self, run: Path, index: int, count: int) -> Job:
        log = shard_folder(run, Shard(index, count)) / LOG
        threads = str(max(1, len(os.sched_getaffinity(0)) // count))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        words = [sys.executable, "-m", "headfit.fitting.shard", str(run), str(index), str(count)]
        with log.open("ab") as file:
            pipe = subprocess.PIPE  # never written to: it ends with this process, and the shard with it
            return _LocalJob(subprocess.Popen(words, stdin=pipe, stdout=file, stderr=file, env=environment), log)


class _LocalJob:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def poll(self) -> int | None:
        return self._process.poll()

    def reason(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1].removeprefix('headfit: ') if lines else 'it said nothing'} (see {self._log})"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
