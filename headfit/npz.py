"""Reading npz archives that others wrote, without trusting the sizes that they declare."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from headfit.errors import HeadfitError
from headfit.files import one_line

#: Bytes of all arrays of an archive. The largest head models known to the importers hold a tenth of it.
MAX_BYTES = 1 << 29
_SUFFIX = ".npy"


def npz_names(path: Path) -> set[str]:
    """The names of the arrays in an npz. Raises HeadfitError when it is none or too large."""
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        return set(_members(path, archive))


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz by name. Python objects are not read, so nothing in the file is executed.

    An array's shape is compared with the number of bytes that its member of the archive has before memory is taken
    for it, so a few forged bytes cannot ask for more memory than `MAX_BYTES`.

    Args:
        path: the file.
        names: the arrays to read, where they are there; default: all.

    Raises:
        HeadfitError: the file is no npz, is damaged, or holds more than `MAX_BYTES`; it is named.
    """
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        members = _members(path, archive)
        return {name: _read_array(archive, members[name]) for name in members if names is None or name in names}


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found = {
        info.filename.removesuffix(_SUFFIX): info for info in archive.infolist() if info.filename.endswith(_SUFFIX)
    }
    total = sum(info.file_size for info in found.values())
    if total > MAX_BYTES:
        raise HeadfitError(f"{path}: its arrays take {total >> 20} MiB, more than the {MAX_BYTES >> 20} MiB allowed")
    return found


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    data = archive.read(member)
    with archive.open(member) as header:
        version = np.lib.format.read_magic(header)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(header)
        start = header.tell()
    if dtype.hasobject or dtype.kind not in "biufSU":
        raise ValueError(f"{member.filename} holds {dtype}, expected numbers or text")
    if any(side < 0 for side in shape):
        raise ValueError(f"{member.filename} has the shape {shape}")
    values = np.frombuffer(data, dtype, offset=start)  # raises where the bytes are no whole number of entries
    return values.reshape(shape, order="F" if fortran else "C").copy()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except HeadfitError:
        raise
    except Exception as error:  # zipfile, zlib and numpy's parser of headers share no exception for damage
        raise HeadfitError(f"{path}: cannot be read as an npz archive ({one_line(error)})") from error
