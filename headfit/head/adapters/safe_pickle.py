"""Reading pickled arrays without running what a pickle may ask for.

A pickle is a program: it can call anything it can name. This reader gives the few names that files of arrays use to
small holders of our own, which only keep what they are handed, and refuses every other name. Numpy's own constructors
are not among them, since a forged type description could make them take numbers for pointers: arrays are built
afterwards, from bytes and a checked type.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
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


class _Dtype(_Holder):
    """A type of numbers: its code (as f8) and byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = str(code)

    @property
    def is_object(self) -> bool:
        return self.code.startswith("O")

    def numpy(self) -> np.dtype:
        """The type; UnpicklingError for anything but plain numbers and texts."""
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        if not re.fullmatch(r"[?]|[biufcSU][0-9]+", self.code) or order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of {order!r} {self.code!r}")
        return np.dtype(self.code if order == "|" else order + self.code)


class _Array(_Holder):
    """An array; its state is (version, shape, type, whether in Fortran's order, bytes or list of objects)."""

    def value(self) -> Any:
        """The array, or for one of python objects their list; UnpicklingError where the state is none of an array."""
        if not (isinstance(self.state, tuple) and len(self.state) == 5 and isinstance(self.state[2], _Dtype)):
            raise pickle.UnpicklingError("an array without a state")
        _, shape, dtype, fortran, raw = self.state
        if dtype.is_object:
            return raw
        flat = np.frombuffer(_bytes(raw), dtype=dtype.numpy())
        return flat.reshape(shape, order="F" if fortran else "C").copy()


def _bytes(raw: Any) -> bytes:
    return raw.encode("latin1") if isinstance(raw, str) else bytes(raw)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str) -> _Array:
    """numpy's `_frombuffer`, by which protocol 5 spells an array."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", raw)
    return array


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    return np.frombuffer(_bytes(data), dtype=dtype.numpy())[0]


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


class _Call:
    """A function that a pickle may call but, unlike a bare function, not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function with a state")


_ALLOWED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype}
_ALLOWED[("_codecs", "encode")] = _Call(_encode)
for _python in (("builtins", "copyreg"), ("__builtin__", "copy_reg")):  # the names of Python 3 and 2
    _ALLOWED[(_python[0], "set")] = set  # among a chumpy array's bookkeeping
    _ALLOWED[(_python[0], "object")] = object
    _ALLOWED[(_python[1], "_reconstructor")] = _Call(_new_holder)
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[(f"{_core}.multiarray", "_reconstruct")] = _Array
    _ALLOWED[(f"{_core}.multiarray", "scalar")] = _Call(_scalar)
    _ALLOWED[(f"{_core}.numeric", "_frombuffer")] = _Call(_from_buffer)
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
    if isinstance(content, _Array) and isinstance(content.state, tuple) and len(content.state) == 5:
        objects = content.state[4]  # numpy.save of a dictionary: an array of one object
        content = objects[0] if isinstance(objects, list) and len(objects) == 1 else content
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
            matrix = kind(tuple(parts), shape=shape)
            matrix.check_format(full_check=True)  # scipy trusts the indices otherwise, and writes where they point
            return matrix.toarray()
        except (TypeError, ValueError, IndexError) as error:
            raise HeadfitError(f"{where}: not a sparse matrix ({error})") from error
    if isinstance(value, _Array):
        try:
            found = value.value()
        except (pickle.UnpicklingError, TypeError, ValueError, AttributeError) as error:
            raise HeadfitError(f"{where}: not an array of numbers ({error})") from error
        if not isinstance(found, np.ndarray):
            raise HeadfitError(f"{where}: an array of python objects, expected numbers")
        return found
    return value


def _entry(holder: _Holder, name: str, where: str) -> Any:
    if not isinstance(holder.state, dict) or name not in holder.state:
        raise HeadfitError(f"{where}: a {type(holder).__name__.strip('_').lower()} array without its {name}")
    return holder.state[name]
