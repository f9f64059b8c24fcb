"""A reader of pickled arrays that does not execute what a pickle asks for.

A pickle is a program that can call anything it can name. This reader maps the few names that files of arrays use to
placeholder classes, which only store what they are given, and refuses every other name. NumPy's own constructors are
not used either, since a forged dtype could make them treat numbers as pointers: arrays are built afterwards, from bytes
and a checked dtype.
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
from headfit.files import one_line


class _Placeholder:
    """Placeholder for an object of some library: stores its state and runs none of the library's code."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Sparse(_Placeholder):
    """A compressed scipy matrix, rebuilt from its three arrays only."""


class _Csc(_Sparse):
    pass


class _Csr(_Sparse):
    pass


class _Chumpy(_Placeholder):
    """A chumpy array (FLAME 2020): a wrapper that keeps the numbers under the key `x`."""


class _Dtype(_Placeholder):
    """A dtype: its code (such as f8) and byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = str(code)

    @property
    def is_object(self) -> bool:
        return self.code.startswith("O")

    def numpy(self) -> np.dtype:
        """The numpy dtype; UnpicklingError for anything but plain numbers and strings."""
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        if not re.fullmatch(r"[?]|[biufcSU][0-9]+", self.code) or order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of {order!r} {self.code!r}")
        return np.dtype(self.code if order == "|" else order + self.code)


class _Array(_Placeholder):
    """An array; its state is (version, shape, dtype, whether in Fortran order, bytes or list of objects)."""

    def value(self) -> Any:
        """The array, or the list of an array of Python objects; UnpicklingError if the state is not an array's."""
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
    """numpy's `_frombuffer`, with which protocol 5 builds an array."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", raw)
    return array


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    return np.frombuffer(_bytes(data), dtype=dtype.numpy())[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode`, with which protocol 2 builds bytes."""
    if encoding.lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise pickle.UnpicklingError(f"bytes encoded as {encoding}")
    return text.encode("latin1")


def _new_placeholder(kind: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor`, with which protocols 0 and 1 build a new object; placeholders only."""
    if not (isinstance(kind, type) and issubclass(kind, _Placeholder)):
        raise pickle.UnpicklingError(f"a new object of {kind}")
    return kind()


class _Call:
    """A function that a pickle may call but, unlike a plain function object, not modify."""

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
    _ALLOWED[(_python[0], "set")] = set  # in a chumpy array's bookkeeping
    _ALLOWED[(_python[0], "object")] = object
    _ALLOWED[(_python[1], "_reconstructor")] = _Call(_new_placeholder)
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[(f"{_core}.multiarray", "_reconstruct")] = _Array
    _ALLOWED[(f"{_core}.multiarray", "scalar")] = _Call(_scalar)
    _ALLOWED[(f"{_core}.numeric", "_frombuffer")] = _Call(_from_buffer)
for _name, _class in (("csc", _Csc), ("csr", _Csr)):
    for _module in (f"scipy.sparse.{_name}", f"scipy.sparse._{_name}", "scipy.sparse"):
        _ALLOWED[(_module, f"{_name}_matrix")] = _class
        _ALLOWED[(_module, f"{_name}_array")] = _class
_ALLOWED[("chumpy.ch", "Ch")] = _Chumpy
# FLAME's landmark tables store some entries, which are not read here, as tensors.
_ALLOWED[("torch._utils", "_rebuild_tensor_v2")] = _ALLOWED[("torch.storage", "_load_from_bytes")] = _Placeholder
_ALLOWED[("collections", "OrderedDict")] = _Placeholder


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="latin1")  # FLAME's files were written by Python 2
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[(module, name)]
        except KeyError:
            raise HeadfitError(
                f"{self._path}: refused: the pickle asks for {module}.{name}, not an array; none of it was executed"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise HeadfitError(f"{self._path}: refused: the pickle asks for an object outside itself ({pid!r})")


def load_arrays(path: Path) -> dict[str, Any]:
    """The dictionary of arrays in a pickle, or in an npy file of one object; sparse and chumpy arrays become dense.

    Strings and numbers are returned as they are, and so are the placeholders of torch tensors.
    Raises HeadfitError if the pickle names anything but arrays (before anything is executed), or if it is damaged.
    """
    try:
        with path.open("rb") as file:
            _skip_npy_header(file)
            content = _Unpickler(file, path).load()
    except HeadfitError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise HeadfitError(f"{path}: not readable as a pickle of arrays ({one_line(error)})") from error
    if isinstance(content, _Array) and isinstance(content.state, tuple) and len(content.state) == 5:
        objects = content.state[4]  # numpy.save of a dictionary: an array of one object
        content = objects[0] if isinstance(objects, list) and len(objects) == 1 else content
    if not isinstance(content, dict):
        raise HeadfitError(f"{path}: contains a {type(content).__name__}, expected a dictionary of arrays")
    return {str(key): _plain(value, f"{path}: {key}") for key, value in content.items()}


def _skip_npy_header(file: BinaryIO) -> None:
    """Skip the header that `numpy.save` writes before the pickle of a dictionary."""
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
            matrix.check_format(full_check=True)  # otherwise scipy trusts the indices, and writes where they point
            return matrix.toarray()
        except (TypeError, ValueError, IndexError) as error:
            raise HeadfitError(f"{where}: not a sparse matrix ({one_line(error)})") from error
    if isinstance(value, _Array):
        try:
            found = value.value()
        except (pickle.UnpicklingError, TypeError, ValueError, AttributeError) as error:
            raise HeadfitError(f"{where}: not an array of numbers ({one_line(error)})") from error
        if not isinstance(found, np.ndarray):
            raise HeadfitError(f"{where}: an array of Python objects, expected numbers")
        return found
    return value


def _entry(holder: _Placeholder, name: str, where: str) -> Any:
    if not isinstance(holder.state, dict) or name not in holder.state:
        raise HeadfitError(f"{where}: a {type(holder).__name__.strip('_').lower()} array without its {name}")
    return holder.state[name]
