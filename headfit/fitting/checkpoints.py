"""Checkpoints that survive a kill at any moment: `last.ckpt` and the one before it."""

from __future__ import annotations

import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from headfit.errors import HeadfitError
from headfit.files import damage_named, flush_to_disk, one_line

CHECKPOINT = "checkpoints/last.ckpt"
PREVIOUS = "checkpoints/previous.ckpt"


def keep_checkpoint(run: Path, write: Callable[[Path], None]) -> None:
    """Have `write` write a file and make it the run's last checkpoint; the last one becomes the previous one.

    The new file is complete and on the disk before it gets its name, and a rename is atomic: whenever the process dies,
    each of the two names refers to an intact checkpoint or to none, and once there is one, at least one of them does.
    Between the two renames that is the previous one. Hard links, which some file systems lack, are not needed.

    Raises:
        OSError: the file cannot be written; it is removed, and the checkpoints are as they were.
    """
    last, previous = run / CHECKPOINT, run / PREVIOUS
    last.parent.mkdir(parents=True, exist_ok=True)
    fresh = last.with_suffix(".writing")
    try:
        write(fresh)
        flush_to_disk(fresh)
    except OSError:
        with suppress(OSError):  # what is reported is the error that came first
            fresh.unlink(missing_ok=True)
        raise
    if last.exists():
        os.replace(last, previous)
    os.replace(fresh, last)


def checkpoint_step(path: Path) -> int:
    """The number of steps that were done when a checkpoint was written."""
    with damage_named(path, "a checkpoint"):
        return int(_read(path, mmap=True)["global_step"])


def find_checkpoint(run: Path) -> Path | None:
    """The newest intact checkpoint of a run; None where none was ever written.

    Reports on stderr if the last one is damaged and the previous one is used. Raises HeadfitError if both are damaged.
    """
    there = [path for path in (run / CHECKPOINT, run / PREVIOUS) if path.exists()]
    for path in there:
        if _is_intact(path):
            return path
        print(f"headfit: {path} is damaged; looking for the checkpoint before it", file=sys.stderr)
    if there:
        raise HeadfitError(f"{there[0]}: damaged, and there is no intact checkpoint before it; start a new run")
    return None


def load_checkpoint(run: Path) -> dict[str, Any]:
    """The content of the newest intact checkpoint, on the CPU; nothing in it is executed.

    Raises HeadfitError when there is none, or when it asks for anything but tensors and plain values.
    """
    path = find_checkpoint(run)
    if path is None:
        raise HeadfitError(f"{run}: no finished run here (there is no {CHECKPOINT})")
    return _read(path)


def _read(path: Path, mmap: bool = False) -> dict[str, Any]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a forged pickle can fail in any way
        raise HeadfitError(f"{path}: not a checkpoint of headfit ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise HeadfitError(f"{path}: not a checkpoint of headfit (it holds a {type(content).__name__})")
    return content


def _is_intact(path: Path) -> bool:
    """Whether a checkpoint is complete: it is a zip archive with its directory at the end and a checksum per entry."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        return False
