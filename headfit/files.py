"""Reading and writing files: one encoding, small files whole or not at all, and errors that name the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headfit.errors import HeadfitError

#: What to do about an error of the operating system.
_ADVICE = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some of your quota, or choose a folder on another disk",
    errno.EFBIG: "the file system or a limit of this process allows no larger file; choose another folder",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "check its permissions, or choose another folder",
    errno.EPERM: "check its permissions, or choose another folder",
    errno.EEXIST: "a file is in the way; choose another folder",
    errno.ENOTDIR: "a file is in the way; choose another folder",
    errno.EISDIR: "a folder is in the way; choose another name",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk or the network failed; check it, and try again",
    errno.ESTALE: "the network file system was lost; mount it, and try again",
}


def read_text(path: Path, *, replace_invalid: bool = False) -> str:
    """The text of a UTF-8 file, with or without a byte order mark; line ends are `\\n`.

    Args:
        path: the file.
        replace_invalid: replace bytes that are not UTF-8, for files in which only names and comments can hold any.

    Raises:
        HeadfitError: the file is not UTF-8. OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace" if replace_invalid else "strict")
    except UnicodeDecodeError as error:
        raise HeadfitError(
            f"{path}: not UTF-8 text (byte 0x{error.object[error.start]:02x} at offset {error.start}); save it as UTF-8"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with line ends `\\n`. Raises HeadfitError where that fails."""
    with failures_named(path):
        path.write_text(text, encoding="utf-8", newline="\n")


def write_atomically(path: Path, text: str) -> None:
    """Write `text` like `write_text`: a process that dies leaves the old file or the new one, never a part of it."""
    fresh = path.with_name(path.name + ".writing")
    with failures_named(path):
        try:
            fresh.write_text(text, encoding="utf-8", newline="\n")
            flush_to_disk(fresh)
            os.replace(fresh, path)
        except OSError:
            with suppress(OSError):  # what is reported is the error that came first
                fresh.unlink(missing_ok=True)
            raise


def flush_to_disk(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they are there. Raises HeadfitError where that fails."""
    with failures_named(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Raise a HeadfitError that names `path`, or the file that the error names, when reading or writing fails."""
    try:
        yield
    except OSError as error:
        raise HeadfitError(describe(error, path)) from error


def describe(error: OSError, path: Path | None = None) -> str:
    """An error of the operating system in one line: which file, what happened, what to do.

    Args:
        error: the error.
        path: the file, where the error does not name one.
    """
    where = error.filename2 or error.filename or path
    what = error.strerror or " ".join(str(error).split())
    place = f"{os.fsdecode(where)}: " if where and not isinstance(where, int) else ""
    advice = _ADVICE.get(error.errno or 0)
    return f"{place}{what}; {advice}" if advice else f"{place}{what}"
