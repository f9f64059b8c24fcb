"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8: a process that dies leaves the old file or the new one, never a part of it."""
    fresh = path.with_name(path.name + ".writing")
    fresh.write_text(text, encoding="utf-8")
    flush_to_disk(fresh)
    os.replace(fresh, path)


def flush_to_disk(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
