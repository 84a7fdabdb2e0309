"""Read named arrays from files of any format, and identify the model in them.

Errors name file, key and expected shape.
"""

from __future__ import annotations

import io
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.pickles import NotStored, load_object_array, load_pickle
from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path
from smplifyx.skeleton import GENDERS, MODEL_TYPES, SIDES, Skeleton, skeleton_of

Shape = tuple[int | None, ...]
#: A sparse matrix larger than this (in elements) is refused: no body model has one.
MAX_DENSE = 10**8
#: Values that are looked at together.
_PART = 1 << 16
#: Dates inside the zip archive, so that the same arrays give the same bytes.
_FIXED_DATE = (2020, 1, 1, 0, 0, 0)
_TYPE_OF_JOINTS = {skeleton_of(t, "right" if t == "mano" else None).n_joints: t for t in MODEL_TYPES}
#: Words in names of licensed files; folders use the full gender names.
_GENDER_WORDS = {**{gender: gender for gender in GENDERS}, "m": "male", "f": "female", "generic": "neutral"}


class ArrayReader(ABC):
    """An open file of named arrays.

    Args:
        path: the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> ArrayReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most formats hold no open file
        """Close the file."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """Names of the arrays in the file."""

    @abstractmethod
    def _read(self, key: str, expected: str) -> NDArray[Any]:
        """Read one array of any type; ``expected`` is part of the error message."""

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def error(self, key: str, problem: str) -> InputError:
        """Make an error about one key of this file."""
        return InputError(self.path, problem, key)

    def array(self, key: str, shape: Shape) -> NDArray[Any]:
        """Read one numeric array of the given shape; None means any length.

        Raises:
            InputError: the key is missing, damaged, not numeric, not finite, or of another shape.
        """
        expected = f"expected shape {tuple('any' if n is None else n for n in shape)}"
        array = self._get(key, expected)
        if array.dtype.kind not in "fiub":
            raise self.error(key, f"found type {array.dtype}, expected numbers")
        fits = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=False))
        if not fits:
            raise self.error(key, f"found shape {array.shape}, {expected}")
        if array.dtype.kind == "f" and not _all_finite(array):
            raise self.error(key, "holds values that are not finite")
        return array

    def text(self, key: str) -> str:
        """Read one string.

        Raises:
            InputError: the key is missing or not a string.
        """
        array = self._get(key, "expected a string")
        if array.ndim or array.dtype.kind != "U":
            raise self.error(key, f"found type {array.dtype} of shape {array.shape}, expected a string")
        return str(array)

    def _get(self, key: str, expected: str) -> NDArray[Any]:
        if key not in self:
            raise self.error(key, f"the key is missing; {expected}")
        return self._read(key, expected)


def _all_finite(array: NDArray[np.floating]) -> bool:
    """Whether an array holds no infinity and no NaN; by the bits of half precision, which is ten times as fast."""
    if array.dtype == np.float16:  # sign left out, exponent not full; by parts that stay in the cache
        bits = array.reshape(-1).view(np.uint16)
        return all((bits[start : start + _PART] & 0x7FFF).max() < 0x7C00 for start in range(0, len(bits), _PART))
    return bool(np.isfinite(array).all())


class PickleReader(ArrayReader):
    """A pickled dictionary of arrays, as licensed ``.pkl`` and ``.npy`` files hold it; see :mod:`.pickles`.

    Raises:
        InputError: the file is missing, damaged, holds something else, or would need code to be run.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        content = load_object_array(self.path) if self.path.suffix == ".npy" else load_pickle(self.path)
        if not isinstance(content, dict):
            raise InputError(self.path, f"holds a {type(content).__name__}; a dictionary of arrays was expected")
        self._content = content

    @property
    def keys(self) -> Sequence[str]:
        """Names of the arrays in the file."""
        return tuple(key for key in self._content if isinstance(key, str))

    def _read(self, key: str, expected: str) -> NDArray[Any]:
        value = self._content[key]
        if isinstance(value, NotStored):
            raise self.error(key, f"found a {value.kind}, which only its own program can compute; {expected}")
        if hasattr(value, "toarray"):
            if np.prod(value.shape, dtype=float) > MAX_DENSE:
                raise self.error(key, f"found a sparse matrix of shape {value.shape}, {expected}")
            return value.toarray()
        if _n_values(value, {}) > MAX_DENSE:
            raise self.error(key, f"found nested lists of more than {MAX_DENSE} values, {expected}")
        try:
            array = np.asarray(value)
            # Older files hold lists of arrays as arrays of objects.
            return np.asarray(array.tolist()) if array.dtype.kind == "O" and array.ndim else array
        except ValueError:
            raise self.error(key, f"found arrays of different shapes, {expected}") from None


def _n_values(value: Any, known: dict[int, int]) -> int:
    """Number of values in nested lists; a list that is used many times counts each time, and is counted once."""
    is_nested = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")
    if not is_nested:
        return int(np.size(value)) if isinstance(value, np.ndarray) else 1
    if id(value) not in known:
        items = value.flat if isinstance(value, np.ndarray) else value
        known[id(value)] = sum(_n_values(item, known) for item in items)
    return known[id(value)]


class NpzReader(ArrayReader):
    """An open ``.npz`` file.

    Args:
        path: the file.

    Raises:
        InputError: the file is missing or not an ``.npz``.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        try:
            self._file = np.load(self.path, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(self.path, "the file does not exist") from None
        except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy, each with errors of its own
            raise InputError(self.path, f"not a readable .npz file, perhaps truncated ({reason(error)})") from None
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise InputError(self.path, "holds a single array; an .npz archive was expected")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def keys(self) -> Sequence[str]:
        """Names of the arrays in the file."""
        return self._file.files

    def _read(self, key: str, expected: str) -> NDArray[Any]:
        try:
            return np.asarray(self._file[key])
        except Exception as error:  # as above
            raise self.error(key, f"cannot be read ({reason(error)}); {expected}") from None


def open_arrays(path: str | Path) -> ArrayReader:
    """Open a file of arrays: ``.pkl`` and ``.npy`` as a pickle of arrays, all others as ``.npz``.

    Raises:
        InputError: the file is missing, damaged, or not of its kind.
    """
    path = Path(path)
    return PickleReader(path) if path.suffix.lower() in (".pkl", ".npy") else NpzReader(path)


def save_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed ``.npz`` whose bytes depend on the arrays alone, all or nothing; makes missing folders."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", _FIXED_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


@dataclass(frozen=True)
class Identity:
    """Model type, gender and name of a file.

    Attributes:
        skeleton: of the model type and side.
        gender: ``neutral``, ``male`` or ``female``.
        name: of the body, for reports.
    """

    skeleton: Skeleton
    gender: str
    name: str


def identity_of(file: ArrayReader) -> Identity:
    """Identify the model in a file of the plain layout.

    Raises:
        InputError: the number of joints is unknown or fits no model.
    """
    model_type = _model_type(file)
    name = file.text("model_name") if "model_name" in file else file.path.stem
    return Identity(skeleton_of(model_type, _side(file) if model_type == "mano" else None), _gender(file), name)


def _model_type(file: ArrayReader) -> str:
    n_joints = _n_joints(file)
    if n_joints not in _TYPE_OF_JOINTS:
        known = ", ".join(f"{count} ({model_type})" for count, model_type in _TYPE_OF_JOINTS.items())
        raise file.error("kintree_table", f"found {n_joints} joints; expected {known}")
    return _TYPE_OF_JOINTS[n_joints]


def _n_joints(file: ArrayReader) -> int:
    """Count joints in the kinematic tree or, if that is damaged, in the skinning weights."""
    try:
        return file.array("kintree_table", (2, None)).shape[1]
    except InputError:
        if "weights" not in file:
            raise
        return file.array("weights", (None, None)).shape[1]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _gender(file: ArrayReader) -> str:
    stored = file.text("gender") if "gender" in file else ""
    if stored in GENDERS:
        return stored
    named = [_GENDER_WORDS[word] for word in _words(file.path.stem) if word in _GENDER_WORDS]
    named += [word for word in _words(file.path.absolute().parent.name) if word in GENDERS]
    return named[0] if named else "neutral"


def _side(file: ArrayReader) -> str:
    """Find the side of a hand from its key, the file name, or the direction of the fingers (left: +x)."""
    if "side" in file:
        side = file.text("side")
        if side not in SIDES:
            raise file.error("side", f"found {side!r}, expected left or right")
        return side
    named = [side for side in SIDES if side in _words(file.path.stem)]
    if named:
        return named[0]
    template = file.array("v_template", (None, 3))
    n_joints = _n_joints(file)
    joints = file.array("J_regressor", (n_joints, len(template))) @ template
    return "left" if np.mean(joints[1:, 0]) > joints[0, 0] else "right"
