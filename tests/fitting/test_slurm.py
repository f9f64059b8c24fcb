"""Shards as jobs of SLURM, whose commands are replaced by scripts: submitit itself is the real one."""

import os
import pickle
import signal
from pathlib import Path

import pytest

from headfit.errors import HeadfitError
from headfit.fitting import slurm
from headfit.fitting.shard import SHARDS, shard_folder
from headfit.fitting.slurm import SlurmEngine
from headfit.fitting.windows import Shard
from headfit.interruption import Interrupted


class Cluster:
    """What the scripts print and write: `queue` lists SLURM's jobs, sbatch numbers them from 1, scancel adds to
    `cancelled`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue, self.cancelled, count = folder / "queue", folder / "cancelled", folder / "count"
        scripts = {
            "sbatch": f'n=$(($(cat {count}) + 1)); echo $n > {count}; echo $n >> {self.queue}; echo "Submitted job $n"',
            "squeue": f"cat {self.queue}",
            "scancel": f"echo $1 >> {self.cancelled}; exit 1",
            "srun": "exit 1",
        }
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        count.write_text("0")
        self.queue.write_text("")
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Cluster:
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setattr(slurm, "REFRESH", 0.0)
    return Cluster(folder, monkeypatch)


@pytest.fixture
def run(tmp_path) -> Path:
    for index in range(2):
        shard_folder(tmp_path / "run", Shard(index, 2)).mkdir(parents=True)
    return tmp_path / "run"


def end(run: Path, number: int, outcome: str, result: object) -> None:
    """A job writes its result."""
    (run / SHARDS / "jobs" / f"{number}_0_result.pkl").write_bytes(pickle.dumps((outcome, result)))


def test_a_job_runs_until_it_has_a_result(cluster, run):
    engine = SlurmEngine({"mem": "4G"})
    one, other = engine.start(run, 0, 2), engine.start(run, 1, 2)
    assert one.poll() is None and other.poll() is None
    assert "--mem=4G" in (run / SHARDS / "jobs" / "1_submission.sh").read_text()
    end(run, 1, "success", None)
    end(run, 2, "error", "Traceback\nheadfit.errors.HeadfitError: cam01 is gone")
    assert one.poll() == 0
    assert other.poll() == 1 and "cam01 is gone" in other.reason() and "2_0_log.err" in other.reason()
    end(run, 2, "error", "Job not requeued because: job was timed out")
    assert other.poll() == -1


def test_a_job_that_slurm_has_no_more_was_killed(cluster, run, monkeypatch):
    job = SlurmEngine({}).start(run, 0, 2)
    cluster.queue.write_text("17\n")
    assert job.poll() is None, "its result may still come"
    monkeypatch.setattr(slurm, "LATE", 0.0)
    assert job.poll() == -1
    assert "SLURM's job 1 was killed" in job.reason()


def test_while_slurm_does_not_answer_all_jobs_count_as_alive(cluster, run, monkeypatch):
    job = SlurmEngine({}).start(run, 0, 2)
    monkeypatch.setattr(slurm, "LATE", 0.0)
    cluster.queue.unlink()
    assert job.poll() is None


def test_a_second_driver_takes_over_what_still_runs(cluster, run):
    SlurmEngine({}).start(run, 0, 2), SlurmEngine({}).start(run, 1, 2)
    cluster.queue.write_text("2\n")  # the job of the first shard was killed, too
    engine = SlurmEngine({})
    one, other = engine.start(run, 0, 2), engine.start(run, 1, 2)
    assert (one._job.job_id, other._job.job_id) == ("3", "2")
    assert other.poll() is None
    end(run, 2, "success", None)
    assert other.poll() == 0


def test_a_job_that_failed_is_not_taken_over_while_slurm_still_lists_it(cluster, run):
    engine = SlurmEngine({})
    job = engine.start(run, 0, 2)
    end(run, 1, "error", "Job not requeued because: job was timed out")
    assert job.poll() == -1
    again = engine.start(run, 0, 2)
    assert again._job.job_id == "2" and again.poll() is None


def test_a_stopped_job_is_not_taken_over_while_it_ends(cluster, run):
    SlurmEngine({}).start(run, 0, 2).stop()
    assert SlurmEngine({}).start(run, 0, 2)._job.job_id == "2"


def test_stopping_cancels_a_job_even_where_slurm_has_it_no_more(cluster, run):
    SlurmEngine({}).start(run, 0, 2).stop()
    assert cluster.cancelled.read_text() == "1\n"


def test_a_refused_job_is_an_error_with_slurms_own_words(cluster, run):
    sbatch = cluster.queue.parent / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: moon' >&2; exit 1\n")
    with pytest.raises(HeadfitError, match=r"--cluster slurm: .*invalid partition specified: moon"):
        SlurmEngine({"partition": "moon"}).start(run, 0, 2)


def test_the_work_of_a_job_ends_at_sigterm(monkeypatch):
    monkeypatch.setattr(slurm, "track_shard", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="SIGTERM"):
        slurm._run_job("run", 0, 1)
