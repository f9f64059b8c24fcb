"""Reads hostile versions of one kind of file, in a process of its own with bounded memory and time.

    python -m tests.fuzz.worker PARSER EXAMPLES SEED

Prints one line of JSON for each example that was not answered with one line naming the file, or within the bounds.
"""

from __future__ import annotations

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
from tests.fuzz.parsers import PARSERS

MAX_SECONDS, MAX_BYTES = 5, 1 << 30


class TooSlow(BaseException):
    """Raised by the alarm."""


def main(name: str, examples: int, seed: int) -> None:
    """Try `examples` hostile files of one parser."""
    warnings.simplefilter("ignore")
    parser = PARSERS[name]
    signal.signal(signal.SIGALRM, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = parser.write(Path(folder))
        parser.read(path)  # imports what it needs
        good, before = path.read_bytes(), _files(folder)
        memory = _address_space() + MAX_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
        for example in range(examples):
            data = mutate(good, random.Random(f"{name} {seed} {example}"))
            path.write_bytes(data)
            fault = _try(parser.read, path)
            if _files(folder) != before:
                fault = f"changed the files in its folder: {sorted(_files(folder) ^ before)}"
            if fault:
                print(json.dumps({"example": example, "fault": fault, "data": repr(data[:300])}), flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _try(read: Any, path: Path) -> str | None:
    """What was wrong with the answer to a hostile file."""
    signal.alarm(MAX_SECONDS)
    try:
        read(path)
    except HeadfitError as error:
        text = str(error)
        named = path.name in text or path.parent.name in text
        return None if named and "\n" not in text else f"message: {text!r} (one line that names the file?)"
    except TooSlow:
        return f"took more than {MAX_SECONDS} s"
    except BaseException:
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    return None


def _too_slow(*_: object) -> None:
    raise TooSlow


def _files(folder: str) -> set[str]:
    return {str(path) for path in Path(folder).rglob("*")}


def _address_space() -> int:
    """Bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
