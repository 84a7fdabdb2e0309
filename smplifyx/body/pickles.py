"""Read pickles of arrays without running code from them.

A pickle is a program that may call any function by name. Here every name, numpy's included, becomes an inert record
of the call. After the whole file is read, this module checks the records of numpy arrays, scipy.sparse matrices and
chumpy's stored arrays and turns them into arrays. Any other name is refused on sight.
"""

from __future__ import annotations

import functools
import math
import os
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
#: Meaning of each allowed name. ``copy_reg`` and ``__builtin__`` are the names in Python 2.
_MEANINGS: dict[tuple[str, str], str] = {
    **{(module, "_reconstruct"): "array" for module in _MULTIARRAY},
    **{(module, "scalar"): "scalar" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "buffer" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray type",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "bytes",
    **{(module, "bytes"): "bytes" for module in ("__builtin__", "builtins")},
    ("collections", "OrderedDict"): "dict",
    **{(module, "set"): "set" for module in ("__builtin__", "builtins")},
    **{(module, "_reconstructor"): "object" for module in ("copy_reg", "copyreg")},
    **{(module, "__newobj__"): "object" for module in ("copy_reg", "copyreg")},
    **{(module, "object"): "object type" for module in ("__builtin__", "builtins")},
}
_SPARSE_MODULE = re.compile(r"scipy\.sparse(\.\w+)?")
_SPARSE_CLASS = re.compile(r"(csc|csr|coo)_(matrix|array)")
_CHUMPY_MODULE = re.compile(r"chumpy(\.\w+)*")
_ALLOWED = "only numpy arrays, scipy.sparse matrices and chumpy arrays are allowed"
#: Element types: booleans, integers, floats, complex numbers, strings; no object references.
_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|[SU]\d+|[?bBhHiIlLqQefdFD])")
_OBJECT_DTYPE = re.compile(r"[<>=|]?O[48]?")
#: Errors that a damaged or malicious file can cause in the unpickler and in the checks below.
_FAILURES = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError,
    OverflowError, RecursionError, MemoryError, UnicodeError, AssertionError, struct.error,
)  # fmt: skip


#: Types of keys and members whose hash is quick.
_HASHABLE = (str, bytes, int, float, bool, type(None))


@dataclass(frozen=True)
class NotStored:
    """Placeholder for a value that the writing program computes when reading, such as chumpy's sum of two arrays."""

    kind: str


def load_pickle(path: str | Path) -> Any:
    """Load a pickle of Python 2 or 3: containers, numbers, strings, numpy arrays and scipy.sparse matrices.

    Chumpy's arrays become numpy arrays; values that chumpy would compute become :class:`NotStored`. Strings of
    Python 2 are decoded as Latin-1.

    Raises:
        InputError: the file is missing or damaged, or names anything else; no code from it has run.
    """
    return _read(Path(path), lambda file: None)


def load_object_array(path: str | Path) -> Any:
    """Load the single object that numpy pickled into an ``.npy`` file, like :func:`load_pickle`.

    Raises:
        InputError: as for :func:`load_pickle`, or the file is not an ``.npy`` file of one object.
    """
    array = _read(Path(path), _skip_npy_header)
    if not isinstance(array, np.ndarray) or array.size != 1:
        raise InputError(path, "holds no single object")
    return array.reshape(-1)[0]


def _skip_npy_header(file: BinaryIO) -> None:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype = read_header(file)[2]
    if dtype.kind != "O":
        raise ValueError(f"found an array of type {dtype}, expected one object")


def _read(path: Path, skip_header: Callable[[BinaryIO], None]) -> Any:
    try:
        with path.open("rb") as file:
            skip_header(file)
            return _Resolver().resolve(_InertUnpickler(_Bounded(file), encoding="latin1").load())
    except FileNotFoundError:
        raise InputError(path, "the file does not exist") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from None
    except _FAILURES as error:
        text = str(error).strip() or ("Ran out of input" if isinstance(error, EOFError) else type(error).__name__)
        raise InputError(path, f"not a readable pickle of arrays: {text.splitlines()[0]}") from None


class _Bounded:
    """A file that refuses to read beyond its end: memory for as much as a pickle claims is never reserved."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.readline = file.readline

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes."""
        if size > self._size - self._file.tell():
            raise EOFError("Ran out of input")
        return self._file.read(size)


class _Record:
    """Inert record of one call or object in the pickle."""

    meaning = ""
    name = ""
    arguments: tuple[Any, ...]
    state: Any
    pairs: list[tuple[Any, Any]]

    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)
        record.arguments, record.state, record.pairs = arguments, None, []
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs.append((key, value))


_Unpickler: Any = pickle._Unpickler


class _InertUnpickler(_Unpickler):
    """Replaces every allowed name by a new subclass of :class:`_Record` and refuses all others.

    The unpickler in Python keeps its memo in a dict, while that in C reserves memory for the largest index named.
    Keys of dicts and members of sets are plain values: the hash of nested tuples may never end.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_Unpickler.dispatch)

    def _load_hashed(self, code: int) -> None:
        stack, is_single = self.stack, code == pickle.SETITEM[0]
        step = 1 if code in (pickle.ADDITEMS[0], pickle.FROZENSET[0]) else 2
        hashed = stack[-2:-1] if is_single else stack[::step]
        if not all(isinstance(one, _HASHABLE) for one in hashed):
            raise pickle.UnpicklingError("it has a dictionary or set of other than names and numbers")
        _Unpickler.dispatch[code](self)

    def _load_bytearray(self) -> None:
        # The inherited one reserves the memory before it reads.
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray
    for _opcode in (pickle.SETITEM, pickle.SETITEMS, pickle.DICT, pickle.ADDITEMS, pickle.FROZENSET):
        dispatch[_opcode[0]] = functools.partial(_load_hashed, code=_opcode[0])

    def find_class(self, module: str, name: str) -> type[_Record]:
        """The record of an allowed name."""
        meaning = _MEANINGS.get((module, name))
        if _SPARSE_MODULE.fullmatch(module) and _SPARSE_CLASS.fullmatch(name):
            meaning = "sparse"
        elif _CHUMPY_MODULE.fullmatch(module) and name.isidentifier():
            meaning = "chumpy"
        if meaning is None:
            raise pickle.UnpicklingError(f"it would need {module}.{name}, and {_ALLOWED}")
        # A new class each time, so that changes by the pickle affect nothing else.
        return type("_NamedRecord", (_Record,), {"meaning": meaning, "name": name})


class _Resolver:
    """Turn records into arrays, each once, in all containers."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._alive: list[Any] = []  # keeps ids unique

    def resolve(self, value: Any) -> Any:
        """Return the value with every record in it replaced."""
        if isinstance(value, type):
            _refuse("a class where an array was expected")
        if not isinstance(value, (dict, list, tuple, set, frozenset, _Record)):
            return value
        key = id(value)
        if key not in self._done:
            self._alive.append(value)
            self._done[key] = _UNFINISHED
            self._done[key] = self._container(value)
        if self._done[key] is _UNFINISHED:
            _refuse("an object that holds itself")
        return self._done[key]

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.resolve(k): self.resolve(v) for k, v in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return type(value)(self.resolve(item) for item in value)
        return self._record(value)

    def _record(self, record: _Record) -> Any:
        if record.meaning == "object":
            return self._object(record)
        makers = {
            "array": self._array,
            "scalar": self._scalar,
            "buffer": self._buffer,
            "ndarray type": self._empty_array,
            "bytes": self._bytes,
            "dict": self._dict,
            "set": self._set,
            "sparse": self._sparse,
            "chumpy": self._chumpy,
        }
        maker = makers.get(record.meaning)
        return maker(record) if maker else _refuse(f"a {record.meaning} where an array was expected")

    def _object(self, record: _Record) -> Any:
        """Resolve ``copy_reg._reconstructor(class, object, None)`` or ``__newobj__(class)``."""
        kind = record.arguments[0]
        if not (isinstance(kind, type) and issubclass(kind, _Record) and kind.meaning in ("sparse", "chumpy")):
            _refuse("an object that is not an array")
        instance = kind()
        instance.state = record.state
        return self._record(instance)

    def _array(self, record: _Record) -> Any:
        """Resolve ``_reconstruct(class, empty shape)``, whose content is in the state."""
        _version, shape, dtype, is_fortran, content = record.state
        order: Literal["C", "F"] = "F" if is_fortran else "C"
        if _is_object_dtype(dtype):
            if not isinstance(content, list) or len(content) != math.prod(_shape(shape)):
                _refuse("an array of objects whose shape does not match its content")
            array = np.empty(len(content), dtype=object)
            for place, item in enumerate(content):
                array[place] = self.resolve(item)
            return array.reshape(_shape(shape), order=order)
        return _numbers(self._raw(content), dtype, shape, order)

    def _scalar(self, record: _Record) -> Any:
        dtype, content = record.arguments
        return _numbers(self._raw(content), dtype, (), "C")[()]

    def _buffer(self, record: _Record) -> NDArray[Any]:
        content, dtype, shape, order = record.arguments
        return _numbers(self._raw(content), dtype, shape, order)

    def _empty_array(self, record: _Record) -> NDArray[Any]:
        if record.state is not None:
            return self._array(record)
        return _refuse("an array without content")

    def _raw(self, content: Any) -> bytes:
        if isinstance(content, _Record):
            content = self.resolve(content)
        if isinstance(content, str):  # Python 2's byte string
            return content.encode("latin1")
        if isinstance(content, (bytes, bytearray)):
            return bytes(content)
        return _refuse("an array whose content is not bytes")

    def _bytes(self, record: _Record) -> bytes:
        """Resolve bytes, which protocol 2 of Python 3 writes as ``_codecs.encode(text, 'latin1')``."""
        if not record.arguments:
            return b""
        text, encoding = record.arguments
        if encoding != "latin1" or not isinstance(text, str):
            _refuse(f"bytes in the unexpected encoding {encoding!r}")
        return text.encode("latin1")

    def _dict(self, record: _Record) -> dict[Any, Any]:
        pairs = [*(record.arguments[0] if record.arguments else ()), *record.pairs]
        return {self.resolve(key): self.resolve(value) for key, value in pairs}

    def _set(self, record: _Record) -> set[Any]:
        return {self.resolve(item) for item in (record.arguments[0] if record.arguments else ())}

    def _sparse(self, record: _Record) -> Any:
        """Rebuild a matrix from its three vectors, with scipy's full check."""
        import scipy.sparse  # slow to import, and few files need it

        state = self.resolve(record.state)
        shape = _shape(state.get("_shape", state.get("shape")))
        values = np.asarray(state["data"])
        if record.name.startswith("coo"):
            rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
            return scipy.sparse.coo_matrix((values, (np.asarray(rows), np.asarray(columns))), shape=shape)
        maker = scipy.sparse.csc_matrix if record.name.startswith("csc") else scipy.sparse.csr_matrix
        matrix = maker((values, np.asarray(state["indices"]), np.asarray(state["indptr"])), shape=shape)
        matrix.check_format(full_check=True)
        return matrix

    def _chumpy(self, record: _Record) -> NDArray[Any] | NotStored:
        """Resolve a stored array ``x``, or a selection ``idxs`` of elements of another array."""
        state = self.resolve(record.state)
        if "x" in state:
            return np.asarray(state["x"])
        if "a" in state and "idxs" in state:
            chosen = np.asarray(state["a"]).reshape(-1)[np.asarray(state["idxs"]).reshape(-1)]
            return chosen.reshape(_shape(state["preferred_shape"])) if "preferred_shape" in state else chosen
        return NotStored(f"chumpy {record.name}")


_UNFINISHED = object()


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(f"it holds {what}, and {_ALLOWED}")


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, _Record):
        _refuse("a shape that is no tuple")
    lengths = tuple(int(n) for n in np.atleast_1d(np.asarray(shape, dtype=np.int64)).reshape(-1))
    if any(n < 0 for n in lengths):
        _refuse(f"an array of shape {lengths}")
    return lengths


def _type_text(dtype: Any) -> str:
    """Return numpy's name of the type; the state, such as ``(3, '<', ...)``, gives the byte order."""
    if not (isinstance(dtype, _Record) and dtype.meaning == "dtype" and dtype.arguments):
        return _refuse("an array without a type")
    text, state = dtype.arguments[0], dtype.state
    if not isinstance(text, str):
        return _refuse(f"an array of the type {text!r}")
    if state is None:
        return text
    _version, order, sub_array, names, fields, *_ = state
    if sub_array is not None or names is not None or fields is not None:
        return _refuse("an array of records")
    return f"{order}{text}" if order in ("<", ">") and text[0] not in "<>=|" else text


def _is_object_dtype(dtype: Any) -> bool:
    return _OBJECT_DTYPE.fullmatch(_type_text(dtype)) is not None


def _numbers(content: bytes, dtype: Any, shape: Any, order: str) -> NDArray[Any]:
    """Make an array that owns its memory; the size must match type and shape."""
    text = _type_text(dtype)
    if not _DTYPE.fullmatch(text):
        _refuse(f"an array of the type {text!r}")
    if order not in ("C", "F"):
        _refuse(f"an array in the order {order!r}")
    kind, lengths = np.dtype(text), _shape(shape)
    if len(content) != math.prod(lengths) * kind.itemsize:
        _refuse(f"{len(content)} bytes for an array of type {text} and shape {lengths}")
    if not kind.itemsize:
        return np.zeros(lengths, kind)
    flat = np.frombuffer(content, kind).astype(kind.newbyteorder("="))
    return flat.reshape(lengths, order="F" if order == "F" else "C")
