"""What runs the shards of a take: processes of this machine, or jobs of SLURM by way of submitit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from headfit.errors import HeadfitError
from headfit.files import one_line
from headfit.fitting.config import RunArgs
from headfit.fitting.shard import SHARDS, shard_folder, track_shard
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


class SlurmEngine:
    """Each shard is a job of SLURM; the run folder is on a file system that all machines share.

    Args:
        options: of sbatch by their long names, such as partition, time (minutes), mem, cpus_per_task.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        try:
            import submitit
        except ImportError:
            raise HeadfitError("--cluster slurm needs submitit: pip install 'headfit[cluster]'") from None
        self._submitit = submitit

    def start(self, run: Path, index: int, count: int) -> Job:
        run = run.resolve()
        try:
            executor = self._submitit.SlurmExecutor(folder=run / SHARDS / "jobs", python=sys.executable)
            executor.update_parameters(**{"job_name": "headfit", "time": 24 * 60, **self._options})
            return _SlurmJob(executor.submit(track_shard, str(run), index, count))
        except Exception as error:  # submitit's own, and those of sbatch
            raise HeadfitError(f"--cluster slurm: {one_line(error)}") from error


class _SlurmJob:
    def __init__(self, job: Any) -> None:
        self._job = job

    def poll(self) -> int | None:
        if not self._job.done():
            return None
        error = self._job.exception()
        if error is None:
            return 0
        return 1 if "HeadfitError" in str(error) else -1  # the rest: killed, timed out, or lost with its machine

    def reason(self) -> str:
        return f"{one_line(self._job.exception())} (see {self._job.paths.stderr})"

    def stop(self) -> None:
        self._job.cancel()
