"""Shards of a take as jobs of SLURM: submitit submits them, squeue tells which of them are alive.

Submitit alone would learn of a killed job up to ten minutes later, and not at all where SLURM keeps no accounts
(sacct), as on many small clusters.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from headfit.errors import HeadfitError
from headfit.files import one_line, read_text, write_atomically
from headfit.fitting.shard import SHARDS, shard_folder, track_shard
from headfit.fitting.windows import Shard
from headfit.interruption import signals_raise

#: Number of a shard's job, in its folder.
JOB = "job"
#: Seconds between two looks at SLURM's queue.
REFRESH = 10.0
#: Seconds without result after which a job that SLURM no longer has counts as killed: file servers show another
#: machine's new files up to a minute late.
LATE = 90.0


class SlurmEngine:
    """Each shard is a job of SLURM; the run folder is on a file system that all machines share.

    Args:
        options: of sbatch by their long names, such as partition, time (minutes), mem, cpus_per_task.

    Raises:
        HeadfitError: submitit is not installed.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._queue = Queue()
        try:
            import submitit
        except ImportError:
            raise HeadfitError("--cluster slurm needs submitit: pip install 'headfit[cluster]'") from None
        self._submitit = submitit

    def start(self, run: Path, index: int, count: int) -> SlurmJob:
        """Start a shard, or continue it from its last checkpoint. A job that an earlier driver, since killed, submitted
        for it, and that SLURM still has, is taken over instead.

        Raises:
            HeadfitError: SLURM does not answer, or refuses the job.
        """
        run = run.resolve()
        number, jobs = shard_folder(run, Shard(index, count)) / JOB, run / SHARDS / "jobs"
        earlier = read_text(number) if number.exists() else ""
        try:
            if earlier and self._queue.has(earlier):
                job = SlurmJob(self._submitit.SlurmJob(jobs, earlier), number, self._queue)
                if not job.has_result():  # one that failed stays in the queue for a moment
                    return job
            executor = self._submitit.SlurmExecutor(folder=jobs, python=sys.executable)
            executor.update_parameters(**{"job_name": "headfit", "time": 24 * 60, **self._options})
            job = SlurmJob(executor.submit(_run_job, str(run), index, count), number, self._queue)
        except Exception as error:  # submitit's own, and those of sbatch
            raise HeadfitError(f"--cluster slurm: {one_line(error)}") from error
        job.note()
        return job


class Queue:
    """Which of this user's jobs SLURM has, waiting or running."""

    def __init__(self) -> None:
        self._jobs: frozenset[str] | None = None
        self._asked = -REFRESH

    def has(self, job: str) -> bool:
        """Whether SLURM had this job at most `REFRESH` seconds ago; True while it does not answer."""
        now = time.monotonic()
        if now - self._asked >= REFRESH:
            self._jobs, self._asked = _jobs_in_queue(), now
        return self._jobs is None or job in self._jobs


def _jobs_in_queue() -> frozenset[str] | None:
    """The numbers of all of this user's jobs; None where SLURM does not answer."""
    words = ["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%i"]
    unfiltered = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        answer = subprocess.run(words, capture_output=True, text=True, env=unfiltered)
    except OSError:
        return None
    return None if answer.returncode else frozenset(answer.stdout.split())


class SlurmJob:
    """A shard that is a job of SLURM.

    Args:
        job: submitit's.
        number: file that says which job works on the shard.
        queue: SLURM's.
    """

    def __init__(self, job: Any, number: Path, queue: Queue) -> None:
        self._job = job
        self._number = number
        self._queue = queue
        self._missing_since: float | None = None

    def note(self) -> None:
        """Write down that this job works on the shard; it is cancelled where that fails, since nobody would know it."""
        try:
            write_atomically(self._number, self._job.job_id)
        except BaseException:
            self.stop()
            raise

    def poll(self) -> int | None:
        if self.has_result():
            error = self._job.exception()
            if error is None:
                return 0
            return 1 if "HeadfitError" in str(error) else -1  # the rest: out of time, or a fault of the machine
        if self._queue.has(self._job.job_id):
            self._missing_since = None
            return None
        self._missing_since = self._missing_since or time.monotonic()
        return -1 if time.monotonic() - self._missing_since > LATE else None

    def reason(self) -> str:
        why = one_line(self._job.exception()) if self.has_result() else f"SLURM's job {self._job.job_id} was killed"
        return f"{why} (see {self._job.paths.stderr})"

    def stop(self) -> None:
        self._number.unlink(missing_ok=True)  # it takes some seconds to end; nobody shall take it over
        self._job.cancel(check=False)

    def has_result(self) -> bool:
        """Whether the job came to its end, good or bad."""
        return bool(self._job.paths.result_pickle.exists())


def _run_job(run: str, index: int, count: int) -> None:
    """The work of a job. Without its own handler of SIGTERM, which scancel sends, submitit would ignore it."""
    with signals_raise():
        track_shard(run, index, count)
