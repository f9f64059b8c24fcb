"""Two fits and one run folder: only one runs, and a dead one leaves the folder free."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from headfit.errors import HeadfitError
from headfit.fitting import lock
from headfit.fitting.lock import LOCK, STALE, locked

HOLD = "import sys, time; from pathlib import Path; from headfit.fitting.lock import locked\n" \
    "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def take(run):
    with locked(run):
        assert (run / LOCK).exists()


def test_the_second_is_refused_at_once_and_told_by_whom(tmp_path, holder):
    start = time.monotonic()
    with pytest.raises(HeadfitError, match=rf"another fit is running there \(process {holder.pid} on .*--out"):
        take(tmp_path)
    assert time.monotonic() - start < 1
    assert (tmp_path / LOCK).exists(), "the first still holds it"


def test_a_killed_process_leaves_the_folder_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists()
    take(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_is_patient_waits_for_the_other_to_end_and_no_longer(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(lock, "PAUSE", 0.02)
    with pytest.raises(HeadfitError, match="another fit is running there"), locked(tmp_path, patience=0.1):
        pass
    threading.Timer(0.2, lambda: (holder.kill(), holder.wait())).start()
    with locked(tmp_path, patience=20):
        assert holder.poll() is not None


def test_a_zombie_holds_nothing(tmp_path, holder):
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet collected by its parent
    take(tmp_path)


def test_another_process_with_the_number_of_the_dead_one(tmp_path):
    with locked(tmp_path):
        content = json.loads((tmp_path / LOCK).read_text())
    content["started"] = "1"  # of this living process
    (tmp_path / LOCK).write_text(json.dumps(content))
    take(tmp_path)


@pytest.mark.parametrize("content", ['{"host": "render7", "machine": "render7 x", "pid": 1, "token": "t"}', ""])
def test_a_lock_of_another_machine_is_held_while_it_shows_signs_of_life(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(HeadfitError, match=r"another fit is running there .*free after 60 s"):
        take(tmp_path)
    then = time.time() - STALE - 5
    os.utime(tmp_path / LOCK, (then, then))
    take(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_signs_of_life_and_a_lock_that_another_process_took(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    with locked(tmp_path) as held:
        os.utime(tmp_path / LOCK, (1, 1))
        time.sleep(0.3)
        assert time.time() - (tmp_path / LOCK).stat().st_mtime < 5
        held.require_held()
        (tmp_path / LOCK).write_text('{"token": "of another process"}')
        time.sleep(0.3)
        with pytest.raises(HeadfitError, match="another fit has taken this folder over"):
            held.require_held()
    assert "of another process" in (tmp_path / LOCK).read_text(), "it is not ours to remove"


def test_of_many_that_find_a_stale_lock_one_gets_it(tmp_path):
    (tmp_path / LOCK).write_text("{}")
    os.utime(tmp_path / LOCK, (1, 1))
    got, refused = [], []
    done = threading.Barrier(4, timeout=20)

    def contend():
        try:
            with locked(tmp_path):
                got.append(None)
                done.wait()
        except HeadfitError as error:
            refused.append(error)
            done.wait()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 3)
