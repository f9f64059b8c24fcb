"""Reading and writing files: one encoding, small files whole or not at all, and errors that name the file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from headfit.errors import HeadfitError

#: Characters of another library's message that are repeated in ours: some quote a whole file.
MAX_REASON = 300
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


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises HeadfitError naming the file when it is not JSON; OSError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise HeadfitError(f"{path}: cannot be read as JSON ({one_line(error)})") from error


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises HeadfitError naming the file when it is not YAML; OSError."""
    try:
        return yaml.safe_load(read_text(path))
    except (HeadfitError, OSError):
        raise
    except Exception as error:  # besides YAMLError: those of the types' constructors, such as an impossible date
        raise HeadfitError(f"{path}: not readable as YAML: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What an error says, in one line of at most `MAX_REASON` characters; its type's name when it says nothing."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= MAX_REASON else words[: MAX_REASON - 3] + "..."


@contextmanager
def errors_in(path: Path) -> Iterator[None]:
    """Begin the message of a HeadfitError with `path`, unless it names the file already."""
    try:
        yield
    except HeadfitError as error:
        raise error if str(path) in str(error) else HeadfitError(f"{path}: {error}") from error


@contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Raise a HeadfitError that names `path` when its content makes the code inside fail.

    For content of many parts, such as a head model: the checks inside explain the usual mistakes, and this covers the
    unusual ones. A HeadfitError or OSError passes unchanged.

    Args:
        path: the file.
        what: what it was taken for, such as "a head model".
    """
    try:
        yield
    except MemoryError as error:
        raise HeadfitError(f"{path}: {what} that needs more memory than there is") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise HeadfitError(f"{path}: cannot be used as {what} ({reason})") from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with line ends `\\n`. Raises HeadfitError where that fails."""
    with failures_named(path):
        path.write_text(text, encoding="utf-8", newline="\n")


def write_atomically(path: Path, text: str) -> None:
    """Write `text` like `write_text`: a process that dies leaves the old file or the new one, never a part of it."""
    fresh = path.with_name(path.name + ".writing")
    with replaced_by(fresh, path):
        fresh.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def replaced_by(fresh: Path, path: Path) -> Iterator[None]:
    """Put the file `fresh`, beside `path`, in its place once the code inside has written it: readers never see a part.
    Raises HeadfitError where that fails; then `path` is as it was."""
    with failures_named(path):
        try:
            yield
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
