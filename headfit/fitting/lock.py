"""One fit at a time in a run folder: a lock file that a dead process does not leave behind.

The file is created with O_EXCL, in which only one process succeeds on local and network file systems; flock is not
needed. It names the machine and the process that holds it. On the same machine the lock is stale when no process of
that number and starting time is alive. From another machine it is stale when its modification time, which the holder
renews every `BEAT` seconds, is older than `STALE` seconds by the file server's own clock: those of machines may differ.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headfit.errors import HeadfitError
from headfit.files import failures_named

LOCK = "fit.lock"
#: Seconds between two signs of life, and without one until the holder counts as dead.
BEAT, STALE = 10.0, 60.0
#: Seconds after which two processes that found the same stale lock see which of them has it.
SETTLE = 0.3
#: Seconds between two looks at a lock that is waited for.
PAUSE = 1.0


class RunLock:
    """A held lock. Another process may take it when this one was suspended for longer than STALE: then it is `lost`."""

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self._token = token
        self._done = threading.Event()
        self._lost = threading.Event()
        threading.Thread(target=self._beat, name="run lock", daemon=True).start()

    def require_held(self) -> None:
        """Raises HeadfitError when another process has taken the lock."""
        if self._lost.is_set():
            raise HeadfitError(
                f"{self.path.parent}: another fit has taken this folder over while this process was suspended; stopped"
            )

    def release(self) -> None:
        """Remove the lock, if it is still this process's."""
        self._done.set()
        if _read(self.path).get("token") == self._token:
            with suppress(OSError):
                self.path.unlink()

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            holder = _read(self.path).get("token")
            if holder not in (None, self._token):
                self._lost.set()
                return
            with suppress(OSError):  # a file server that is away for a moment
                os.utime(self.path)


@contextmanager
def locked(run: Path, patience: float = 0.0) -> Iterator[RunLock]:
    """Hold the lock of an existing run folder.

    Args:
        run: the folder.
        patience: seconds to wait for another holder: a little more than `STALE` where it may be dead, on a machine that
            cannot be asked.

    Raises:
        HeadfitError: another fit is running there, or the lock cannot be written.
    """
    path, token = run / LOCK, uuid.uuid4().hex
    with failures_named(path):
        if not _create(path, token):
            _wait_until_stale(path, patience)
            path.unlink(missing_ok=True)
            created = _create(path, token)
            time.sleep(SETTLE)
            if not created or _read(path).get("token") != token:
                raise HeadfitError(f"{run}: another fit has just started there; choose another --out")
    lock = RunLock(path, token)
    try:
        yield lock
    finally:
        lock.release()


def _create(path: Path, token: str) -> bool:
    """Create the lock file; False when there is one."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    holder = {"host": socket.gethostname(), **_identity(os.getpid()), "token": token}
    try:
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump(holder, stream)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _wait_until_stale(path: Path, patience: float) -> None:
    """Return when the lock's holder is dead, or has released it. Raises HeadfitError when it is not after `patience`
    seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return _require_stale(path)
        except HeadfitError:
            if time.monotonic() >= end:
                raise
        time.sleep(PAUSE)


def _require_stale(path: Path) -> None:
    holder = _read(path)
    mine = _identity(os.getpid())
    if holder.get("machine") == mine["machine"]:
        pid = holder["pid"]
        if _identity(pid)["started"] != holder["started"]:
            return
    elif _age(path) > STALE:
        return
    host, pid = holder.get("host", "unknown host"), holder.get("pid", "unknown")
    raise HeadfitError(
        f"{path.parent}: another fit is running there (process {pid} on {host}); wait for it, or choose another --out. "
        f"A fit that died on another machine gives the folder free after {STALE:.0f} s."
    )


def _read(path: Path) -> dict[str, Any]:
    """What the lock says; empty where it is gone or not yet written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _age(path: Path) -> float:
    """Seconds since the last sign of life, by the clock of the file system."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return STALE + 1  # released in this moment
    finally:
        probe.unlink(missing_ok=True)


def _identity(pid: int) -> dict[str, Any]:
    """What tells a process of this machine from all others: the machine with its last start and namespace of process
    numbers, the number, and when it started; `started` is None for a process that is not alive."""
    boot = _text("/proc/sys/kernel/random/boot_id")
    with suppress(OSError):
        boot += os.readlink("/proc/self/ns/pid")
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()  # after the name, which may hold blanks
    alive = bool(fields) and fields[0] not in "ZX"
    started = fields[19] if alive else None
    if not boot:  # no /proc: the number alone has to do
        with suppress(OSError):
            os.kill(pid, 0)
            started = "alive"
    return {"machine": f"{socket.gethostname()} {boot}", "pid": pid, "started": started}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
