"""Reads hostile versions of some kinds of files, in a process of its own with bounded memory and time.

    python -m tests.fuzz.worker PARSERS EXAMPLES SEED        PARSERS: names separated by commas, or "all"

Prints one line of JSON for each example that was not answered with one line naming the file, or within the bounds, and
one for each parser when it is done.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from headfit.errors import HeadfitError
from tests.fuzz.mutate import mutate
from tests.fuzz.parsers import PARSERS, Parser

#: CPU seconds, which a loaded machine does not stretch, and seconds by the clock for a parser that waits.
MAX_CPU_SECONDS, MAX_SECONDS = 5, 60
MAX_BYTES = 1 << 30
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: What no parser may do, besides opening a file for writing (names of Python's audit events).
FORBIDDEN = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink", "os.system", "subprocess.Popen")
FORBIDDEN += ("os.exec", "os.posix_spawn", "socket.connect", "shutil.rmtree", "os.truncate")


class TooSlow(BaseException):
    """Raised by the timers."""


class Watch:
    """Notes what is written, started or connected to while it is on."""

    def __init__(self) -> None:
        self.on, self.seen = False, list[str]()
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and (event in FORBIDDEN or (event == "open" and (arguments[2] or 0) & WRITES)):
            self.seen.append(f"{event} {arguments[:2]}")


def main(names: str, examples: int, seed: int) -> None:
    """Try `examples` hostile files of each parser."""
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    for timer in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(timer, _too_slow)
    watch = Watch()
    for name in PARSERS if names == "all" else names.split(","):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try_parser(name, PARSERS[name], Path(folder), range(examples), seed, watch)
            os.chdir("/")
        print(json.dumps({"parser": name, "done": examples}), flush=True)


def try_parser(name: str, parser: Parser, folder: Path, examples: range, seed: int, watch: Watch) -> None:
    """Print the faults of one parser."""
    path = parser.write(folder)
    try:
        parser.read(path)  # imports what it needs
        assert parser.refused is None
    except HeadfitError as error:
        if parser.refused is None or parser.refused not in str(error):
            raise
    good, before = path.read_bytes(), _files(folder)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MAX_BYTES, resource.RLIM_INFINITY))
    for example in examples:
        data = mutate(good, random.Random(f"{name} {seed} {example}"))
        path.write_bytes(data)
        watch.seen, watch.on = [], True
        fault = _try(parser.read, path)
        watch.on = False
        if watch.seen or _files(folder) != before:
            fault = f"changed files: {watch.seen} {sorted(_files(folder) ^ before)}"
        if fault:
            told = {"parser": name, "seed": seed, "example": example, "fault": fault, "data": repr(data[:300])}
            print(json.dumps(told), flush=True)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _try(read: Any, path: Path) -> str | None:
    """What was wrong with the answer to a hostile file."""
    signal.alarm(MAX_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_SECONDS)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            read(path)
    except HeadfitError as error:
        text = str(error)
        return None if path.name in text and "\n" not in text else f"message: {text!r} (one line that names the file?)"
    except TooSlow:
        return f"took more than {MAX_CPU_SECONDS} CPU seconds, or {MAX_SECONDS} s"
    except BaseException:
        return traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return None


def _too_slow(*_: object) -> None:
    raise TooSlow


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def _address_space() -> int:
    """Bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
