"""The samples of an archive, from its index and from the archive itself."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from smplifyx.packs.names import PHOTO, can_be_files, path_of, stem_of

#: The folder of the archives, and the endings of archive and index.
PACKS, TAR, INDEX = "packs", ".tar", ".jsonl"
#: An archive ends with two blocks of zeros.
BLOCK, END = tarfile.BLOCKSIZE, 2 * tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of an archive.

    Attributes:
        pack: name of the archive in the folder of archives.
        key: ``STEM/NAME``, the stem encoded.
        members: ending, offset and size of each member; none: the sample was removed.
        time: of writing, seconds since 1970.
        end: offset behind the sample.
    """

    pack: str
    key: str
    members: tuple[tuple[str, int, int], ...]
    time: int
    end: int

    @property
    def stem(self) -> str:
        """Name of the photo."""
        return stem_of(self.key)

    def paths(self) -> list[PurePath]:
        """Names of the files below the output folder; members that are not ours are left out."""
        paths = (path_of(self.key, ending) for ending, *_ in self.members)
        return [path for path in paths if path is not None]

    @property
    def name(self) -> str:
        """Name of the person's files, or :data:`PHOTO`."""
        return self.key.partition("/")[2]


def pack_files(root: Path) -> list[Path]:
    """The archives of an output folder, the oldest first."""
    return sorted(Path(root, PACKS).glob(f"[!.]*{TAR}"))


def has_packs(root: Path) -> bool:
    """Whether an output folder holds archives."""
    return bool(pack_files(root))


@dataclass
class Contents:
    """The samples of an archive.

    Attributes:
        samples: those that are complete, in their order.
        n_indexed: number of them that the index has.
        end: offset behind the last one.
        is_clean: the archive ends there, as it should.
    """

    samples: list[Sample]
    n_indexed: int
    end: int
    is_clean: bool

    @classmethod
    def of(cls, path: Path) -> Contents:
        """Read the index of an archive, and the archive itself where the index ends early; damage is left out."""
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                samples = list(_indexed(path, size))
                n_indexed, end = len(samples), max((one.end for one in samples), default=0)
                if size != end + END:
                    samples += _scanned(stream, path.name, end)
                    end = max((one.end for one in samples), default=0)
                return cls(samples, n_indexed, end, size == end + END)
        except OSError:  # removed meanwhile
            return cls([], 0, 0, True)


def _indexed(path: Path, size: int) -> Iterator[Sample]:
    """The samples that the index of an archive names and that lie within the archive."""
    with suppress(FileNotFoundError), path.with_suffix(INDEX).open("rb") as stream:
        for line in stream:
            with suppress(ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
                one = _sample_of(json.loads(line), path.name)
                if one.end <= size:
                    yield one


def _sample_of(values: dict[str, Any], pack: str) -> Sample:
    """The sample of a line of an index; raises KeyError and others where it is damaged."""
    members = tuple((str(ending), int(at), int(size)) for ending, (at, size) in values["members"].items())
    one = Sample(pack, str(values["key"]), members, int(values["time"]), int(values["end"]))
    if one.end < 0 or one.end % BLOCK or not all(0 <= at <= at + size <= one.end for _, at, size in members):
        raise ValueError(f"members of {one.key} are not in the archive")
    if not can_be_files(one.key, (ending for ending, *_ in members)):
        raise ValueError(f"{one.key} is not a name")
    return one


def _scanned(stream: BinaryIO, pack: str, start: int) -> Iterator[Sample]:
    """The complete samples from an offset on; one of a person is complete if it has its result."""
    for key, group in groupby(_entries(stream, start), lambda entry: entry[0]):
        entries = list(group)
        members = tuple((ending, at, size) for _, ending, at, size, _ in entries)
        if not key or not can_be_files(key, (ending for ending, *_ in members)):
            continue
        if key.endswith(f"/{PHOTO}") or members[-1][0] == "npz":
            end = padded(members[-1][1] + members[-1][2])
            yield Sample(pack, key, members, entries[-1][4], end)


def _entries(stream: BinaryIO, start: int) -> Iterator[tuple[str, str, int, int, int]]:
    """Key, ending, offset, size and time of the complete members of an archive from an offset on."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    try:
        with tarfile.TarFile(fileobj=stream, errors="surrogateescape") as archive:
            for one in archive:
                if one.size < 0 or padded(one.offset_data + one.size) > size:
                    return
                folder, _, name = one.name.rpartition("/")
                name, _, ending = name.partition(".")
                yield f"{folder}/{name}" if folder else "", ending, one.offset_data, one.size, int(one.mtime)
    except Exception:  # the end is cut off, or damaged; tarfile has no common class of errors for that
        return


def padded(length: int) -> int:
    """A length in whole blocks."""
    return -(-length // BLOCK) * BLOCK


def line_of(sample: Sample) -> str:
    """The line of a sample in the index."""
    members = {ending: (at, size) for ending, at, size in sample.members}
    values = {"key": sample.key, "time": sample.time, "end": sample.end, "members": members}
    return json.dumps(values) + "\n"
