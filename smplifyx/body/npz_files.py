"""Reading and writing ``.npz`` files of plain arrays: nothing is unpickled, and errors name file, key and shape."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.atomic import atomic_path
from smplifyx.body.array_reader import ArrayReader
from smplifyx.errors import InputError, reason

#: What numpy and zipfile raise for files that are cut short, overwritten, or hold pickled objects.
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
#: Dates inside the zip archive, so that the same arrays give the same bytes.
_FIXED_DATE = (2020, 1, 1, 0, 0, 0)


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
        except _DAMAGE as error:
            raise InputError(self.path, f"not a readable .npz file, perhaps truncated ({reason(error)})") from None
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise InputError(self.path, "holds a single array; an .npz archive was expected")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def keys(self) -> Sequence[str]:
        """Names of what the file holds."""
        return self._file.files

    def _read(self, key: str, expected: str) -> NDArray[Any]:
        try:
            return np.asarray(self._file[key])
        except _DAMAGE as error:
            raise self.error(key, f"cannot be read ({reason(error)}); {expected}") from None


def save_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed ``.npz`` whose bytes depend on the arrays alone, all or nothing; makes missing folders."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", _FIXED_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())
