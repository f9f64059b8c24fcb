"""Reading pickled arrays without running what a pickle may ask for.

A pickle is a program: it can call anything it can name. This reader lets it name numpy's array constructors and
`set`; scipy's sparse containers, chumpy's array wrapper and torch's tensors become holders of their data that run no
code; and it refuses everything else.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse as sp

from headfit.errors import HeadfitError


class _Holder:
    """Stands for an object of a library that is not needed: keeps its state, runs none of its code."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Sparse(_Holder):
    """A compressed matrix of scipy; rebuilt from its three arrays and nothing else."""


class _Csc(_Sparse):
    pass


class _Csr(_Sparse):
    pass


class _Chumpy(_Holder):
    """A chumpy array (FLAME 2020): a wrapper with the numbers under the key `x`."""


def _empty_array(_: Any, shape: Any, dtype: Any) -> np.ndarray:
    """What numpy's `_reconstruct` does, for plain arrays only; the pickle's state fills it afterwards."""
    return np.ndarray.__new__(np.ndarray, shape, dtype)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    """What numpy's `_frombuffer` does, by which protocol 5 spells an array."""
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _scalar(dtype: np.dtype, data: Any = None) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError("a scalar of python objects")
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype=dtype)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode`, by which protocol 2 spells bytes."""
    if encoding.lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise pickle.UnpicklingError(f"bytes spelled in {encoding}")
    return text.encode("latin1")


def _new_holder(kind: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor`, by which protocols 0 and 1 spell a new object, for holders only."""
    if not (isinstance(kind, type) and issubclass(kind, _Holder)):
        raise pickle.UnpicklingError(f"a new object of {kind}")
    return kind()


_ALLOWED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
_ALLOWED[("_codecs", "encode")] = _encode
for _python in (("builtins", "copyreg"), ("__builtin__", "copy_reg")):  # the names of Python 3 and 2
    _ALLOWED[(_python[0], "set")] = set  # among a chumpy array's bookkeeping
    _ALLOWED[(_python[0], "object")] = object
    _ALLOWED[(_python[1], "_reconstructor")] = _new_holder
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[(f"{_core}.multiarray", "_reconstruct")] = _empty_array
    _ALLOWED[(f"{_core}.multiarray", "scalar")] = _scalar
    _ALLOWED[(f"{_core}.numeric", "_frombuffer")] = _from_buffer
for _name, _class in (("csc", _Csc), ("csr", _Csr)):
    for _module in (f"scipy.sparse.{_name}", f"scipy.sparse._{_name}", "scipy.sparse"):
        _ALLOWED[(_module, f"{_name}_matrix")] = _class
        _ALLOWED[(_module, f"{_name}_array")] = _class
_ALLOWED[("chumpy.ch", "Ch")] = _Chumpy
# Tables of landmarks beside FLAME keep some entries, which are not read here, as tensors.
_ALLOWED[("torch._utils", "_rebuild_tensor_v2")] = _ALLOWED[("torch.storage", "_load_from_bytes")] = _Holder
_ALLOWED[("collections", "OrderedDict")] = _Holder


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="latin1")  # FLAME's files were written by Python 2
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[(module, name)]
        except KeyError:
            raise HeadfitError(
                f"{self._path}: refused: the pickle asks for {module}.{name}, which is no array; nothing of it was run"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise HeadfitError(f"{self._path}: refused: the pickle asks for an object outside of itself ({pid!r})")


def load_arrays(path: Path) -> dict[str, Any]:
    """The dictionary that a pickle, or an npy file of one object, holds: numpy arrays, with sparse and chumpy
    ones made plain and dense.

    Texts and numbers are handed on as they are, and so is what stands for a torch tensor, which is no array.
    Raises HeadfitError, before anything is run, where the pickle names anything but arrays; and where it is damaged.
    """
    try:
        with path.open("rb") as file:
            _skip_npy_header(file)
            content = _Unpickler(file, path).load()
    except HeadfitError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise HeadfitError(f"{path}: not readable as a pickle of arrays ({error})") from error
    if isinstance(content, np.ndarray) and content.shape == () and content.dtype.hasobject:
        content = content.item()
    if not isinstance(content, dict):
        raise HeadfitError(f"{path}: holds a {type(content).__name__}, expected a dictionary of arrays")
    return {str(key): _plain(value, f"{path}: {key}") for key, value in content.items()}


def _skip_npy_header(file: BinaryIO) -> None:
    """`numpy.save` of a dictionary is a header and then a pickle."""
    if file.read(6) == b"\x93NUMPY":
        file.seek(0)
        version = np.lib.format.read_magic(file)
        (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
    else:
        file.seek(0)


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, _Chumpy):
        return _plain(_entry(value, "x", where), where)
    if isinstance(value, _Sparse):
        kind = sp.csc_matrix if isinstance(value, _Csc) else sp.csr_matrix
        shape = value.state.get("_shape", value.state.get("shape")) if isinstance(value.state, dict) else None
        parts = [_plain(_entry(value, name, where), where) for name in ("data", "indices", "indptr")]
        try:
            return kind(tuple(parts), shape=shape).toarray()
        except (TypeError, ValueError, IndexError) as error:
            raise HeadfitError(f"{where}: not a sparse matrix ({error})") from error
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        raise HeadfitError(f"{where}: an array of python objects, expected numbers")
    return value


def _entry(holder: _Holder, name: str, where: str) -> Any:
    if not isinstance(holder.state, dict) or name not in holder.state:
        raise HeadfitError(f"{where}: a {type(holder).__name__.strip('_').lower()} array without its {name}")
    return holder.state[name]
