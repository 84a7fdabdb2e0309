"""Archives of one process, and the mending of those that killed processes left."""

from __future__ import annotations

import socket
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from smplifyx.files import name_of_now, write_all, write_text
from smplifyx.locks import is_abandoned, lock
from smplifyx.packs.contents import END, INDEX, PACKS, TAR, Contents, Sample, line_of, pack_files, padded

#: Bytes after which a new archive is begun, as large as WebDataset recommends.
_LARGEST = 1 << 30
#: Seconds after which a process that left an archive incomplete has surely ended.
OLD = 600.0


def mend_packs(root: Path) -> list[Path]:
    """Cut archives that killed processes left incomplete after the last complete sample, and complete their indexes.

    Those that other processes write are left alone.

    Returns:
        The archives that were changed.
    """
    mended = []
    for path in pack_files(root):
        contents = Contents.of(path)
        if contents.is_clean and contents.n_indexed == len(contents.samples):
            continue
        with path.open("r+b") as stream:
            if not _is_abandoned(stream, path):
                continue
            contents = Contents.of(path)
            if contents.samples:
                write_text(path.with_suffix(INDEX), "".join(map(line_of, contents.samples)))
                stream.truncate(contents.end)
                stream.truncate(contents.end + END)
            else:
                remove_pack(path)
        mended.append(path)
    return mended


def is_in_use(path: Path) -> bool:
    """Whether a process may be writing an archive; those of other machines are free when they are old."""
    with path.open("r+b") as stream:
        return not _is_abandoned(stream, path)


def _is_abandoned(stream: BinaryIO, path: Path) -> bool:
    return is_abandoned(stream, f"-{socket.gethostname()}-" in path.name, OLD)


def remove_pack(path: Path) -> None:
    """Remove an archive and its index."""
    path.unlink(missing_ok=True)
    path.with_suffix(INDEX).unlink(missing_ok=True)


class PackWriter:
    """Archives of one process; the first is made with the first sample.

    An archive is readable after each sample: the sample and the end of the archive are written at once.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = Path(root) / PACKS
        self._stream: FileIO | None = None
        self._path = self._folder
        self._end, self._index_end, self._last_key = 0, 0, ""
        self._made: list[Path] = []

    def write(self, key: str, members: Mapping[str, bytes]) -> Sample:
        """Write a sample, all or nothing; its result goes last.

        Raises:
            OSError: it cannot be written.
        """
        if key == self._last_key:
            self.close()  # members of two samples of one key would be taken for one sample
        stream = self._opened()
        now = int(time.time())
        parts: list[bytes] = []
        places = []
        end = self._end
        for ending in sorted(members, key=lambda name: (name == "npz", name)):
            header = tarfile.TarInfo(f"{key}.{ending}")
            header.size, header.mtime = len(members[ending]), now
            start = header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            places.append((ending, end + len(start), header.size))
            parts += [start, members[ending], bytes(padded(header.size) - header.size)]
            end = padded(end + len(start) + header.size)
        sample = Sample(self._path.name, key, tuple(places), now, end)
        self._append(stream, b"".join([*parts, bytes(END)]), sample)
        self._last_key = key
        return sample

    def remove(self, key: str) -> Sample:
        """Note that a sample does not count any more; returns the note."""
        stream = self._opened()
        sample = Sample(self._path.name, key, (), int(time.time()), self._end)
        self._append(stream, bytes(END), sample)
        return sample

    def close(self) -> None:
        """Close the archive; the next sample begins another one."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._last_key = None, ""

    def discard(self) -> None:
        """Remove all archives that were written."""
        self.close()
        for path in self._made:
            remove_pack(path)
        self._made = []

    def _opened(self) -> FileIO:
        if self._stream is not None and self._end > _LARGEST:
            self.close()
        if self._stream is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path = self._folder / f"{name_of_now()}-{uuid4().hex[:8]}{TAR}"
            self._end, self._index_end = 0, 0
            self._stream = self._path.open("xb", buffering=0)
            self._made.append(self._path)
            lock(self._stream)
        return self._stream

    def _append(self, stream: FileIO, data: bytes, sample: Sample) -> None:
        try:
            stream.seek(self._end)
            write_all(stream, data)
            with self._path.with_suffix(INDEX).open("ab", buffering=0) as index:
                index.truncate(self._index_end)  # a line that was written in part would spoil the next
                line = line_of(sample).encode()
                write_all(index, line)
        except OSError as error:
            with suppress(OSError):
                stream.truncate(self._end)
                stream.truncate(self._end + END)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end, self._index_end = sample.end, self._index_end + len(line)
