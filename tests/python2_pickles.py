"""Writes pickles as Python 2 with chumpy did: the layout of licensed ``.pkl`` files, with content of our own."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar

import numpy as np
import scipy.sparse


class Chumpy:
    """Written under the name of chumpy's stored array."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x


class ChumpySelect:
    """Written under the name of chumpy's selection of another array's elements."""

    def __init__(self, a: Chumpy, idxs: np.ndarray, preferred_shape: tuple[int, ...]) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


class _Bytes:
    """A byte string of Python 2."""

    def __init__(self, content: bytes) -> None:
        self.content = content


class _Name:
    """A class or function by its module and name alone."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


_RECONSTRUCTOR = _Name("copy_reg", "_reconstructor")


class _Python2Pickler(pickle._Pickler):  # the one in Python, whose dispatch can be extended
    """Spells names as Python 2 with numpy 1 did, and writes texts as byte strings."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def _save_text(self, text: str) -> None:
        self._save_bytes(_Bytes(text.encode("latin1")))

    def _save_bytes(self, value: _Bytes) -> None:
        if self.proto == 0:
            escaped = "".join(f"\\x{byte:02x}" for byte in value.content)
            self.write(b"S'" + escaped.encode() + b"'\n")
        else:
            self.write(b"T" + len(value.content).to_bytes(4, "little") + value.content)
        self.memoize(value)

    def _save_name(self, value: _Name) -> None:
        self.write(f"c{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    def _save_array(self, array: np.ndarray) -> None:
        order = "|" if array.dtype.itemsize == 1 else "<"
        dtype = _Reduced(
            _Name("numpy", "dtype"), (array.dtype.str[1:], 0, 1), (3, order, None, None, None, -1, -1, 0)
        )
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        content = _Bytes(array.tobytes("F" if fortran else "C"))
        reconstruct = _Name("numpy.core.multiarray", "_reconstruct")
        arguments = (_Name("numpy", "ndarray"), (0,), _Bytes(b"b"))
        self.save(_Reduced(reconstruct, arguments, (1, array.shape, dtype, fortran, content)))

    def _save_chumpy(self, value: Chumpy | ChumpySelect) -> None:
        name = _Name("chumpy.ch", "Ch") if isinstance(value, Chumpy) else _Name("chumpy.reordering", "Select")
        self._save_instance(name, {**vars(value), "_dirty_vars": set(), "_itr": None})

    def _save_sparse(self, matrix: Any) -> None:
        state = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
        name = _Name(f"scipy.sparse.{matrix.format}", f"{matrix.format}_matrix")
        self._save_instance(name, {**state, "_shape": matrix.shape, "maxprint": 50, "format": matrix.format})

    def _save_instance(self, name: _Name, state: dict[str, Any]) -> None:
        if self.proto < 2:
            self.save(_Reduced(_RECONSTRUCTOR, (name, _Name("__builtin__", "object"), None), state))
        else:
            self.save(name)
            self.save(())
            self.write(pickle.NEWOBJ)
            self.save(state)
            self.write(pickle.BUILD)

    def _save_reduced(self, value: _Reduced) -> None:
        self.save(value.function)
        self.save(value.arguments)
        self.write(pickle.REDUCE)
        self.save(value.state)
        self.write(pickle.BUILD)

    def _save_set(self, value: set) -> None:
        self.save(_Name("__builtin__", "set"))
        self.save((list(value),))
        self.write(pickle.REDUCE)


class _Reduced:
    """What a function makes of its arguments, then given a state."""

    def __init__(self, function: _Name, arguments: tuple, state: Any) -> None:
        self.function, self.arguments, self.state = function, arguments, state


_Python2Pickler.dispatch.update(
    {
        str: _Python2Pickler._save_text,
        _Bytes: _Python2Pickler._save_bytes,
        _Name: _Python2Pickler._save_name,
        _Reduced: _Python2Pickler._save_reduced,
        np.ndarray: _Python2Pickler._save_array,
        Chumpy: _Python2Pickler._save_chumpy,
        ChumpySelect: _Python2Pickler._save_chumpy,
        set: _Python2Pickler._save_set,
        **dict.fromkeys((scipy.sparse.csc_matrix, scipy.sparse.csr_matrix), _Python2Pickler._save_sparse),
    }
)


def dump_python2(content: Any, protocol: int = 2) -> bytes:
    """The content as a pickle of Python 2: byte strings, old names, chumpy and scipy.sparse by their old modules."""
    buffer = io.BytesIO()
    _Python2Pickler(buffer, protocol).dump(content)
    return buffer.getvalue()
