"""Files of people in tar archives that WebDataset reads, instead of a file each.

A sample is a person, ``STEM/000.npz`` with ``STEM/000.overlay.jpg`` and so on, its members next to each other and the
result last. The picture of several people of a photo is a sample of its own, ``STEM/photo.overlay.jpg``. Each process
writes archives of its own below ``OUTPUT/packs``, each with an index of JSON lines beside it. A sample that was
written later takes the place of an earlier one of the same key.

A packed file keeps the name that it would have in the output folder: :func:`read_bytes` finds both.
"""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import tarfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import BinaryIO
from urllib.parse import unquote
from uuid import uuid4

from smplifyx.files import write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: The folder of the archives, and the endings of archive and index.
PACKS, _TAR, _INDEX = "packs", ".tar", ".jsonl"
#: Name of the sample with the picture of all people of a photo.
PHOTO = "photo"
#: An archive ends with two blocks of zeros.
_BLOCK, _END = tarfile.BLOCKSIZE, 2 * tarfile.BLOCKSIZE
#: Bytes after which a new archive is begun, as large as WebDataset recommends.
_LARGEST = 1 << 30
#: Seconds after which a process that left an archive incomplete has surely ended.
_OLD = 600.0

#: Folders of the files of a person by the last part of the name.
_FOLDERS = {"npz": "results", "pkl": "results", "obj": "meshes", "ply": "meshes", "glb": "meshes"}
_PERSON = re.compile(r"\d+(_(left|right))?")
_PICTURE = re.compile(r"(overlay|side_view|close_up)\.(jpg|png)")
#: A key has no dot, since WebDataset takes what follows for the ending, and no name that it skips.
_UNSAFE = re.compile("[%./\\\\\x00-\x1f\x7f\ud800-\udfff]|^_(?=_)")


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


def key_of(stem: str, name: str) -> str:
    """Key of a sample."""
    return f"{_encoded(stem)}/{name}"


def member_of(path: PurePath) -> tuple[str, str] | None:
    """Key and ending of a file, given by its path below the output folder; None for a file that is not packed."""
    parts = path.parts
    if len(parts) == 3 and parts[0] in _FOLDERS.values():
        name, _, ending = parts[2].partition(".")
        is_packed = _PERSON.fullmatch(name) and _FOLDERS.get(ending) == parts[0]
        return (key_of(parts[1], name), ending) if is_packed else None
    if not parts or parts[0] != "images" or not _PICTURE.fullmatch(parts[-1]):
        return None
    if len(parts) == 4 and _PERSON.fullmatch(parts[2]):
        return key_of(parts[1], parts[2]), parts[3]
    return (key_of(parts[1], PHOTO), parts[2]) if len(parts) == 3 else None


def path_of(key: str, ending: str) -> PurePath | None:
    """The inverse of :func:`member_of`; None for what is not a file of ours."""
    encoded, _, name = key.partition("/")
    stem = stem_of(key)
    if not encoded or _encoded(stem) != encoded or stem in (".", ".."):
        return None
    if ending in _FOLDERS and _PERSON.fullmatch(name):
        return PurePath(_FOLDERS[ending], stem, f"{name}.{ending}")
    if not _PICTURE.fullmatch(ending):
        return None
    if name == PHOTO:
        return PurePath("images", stem, ending)
    return PurePath("images", stem, name, ending) if _PERSON.fullmatch(name) else None


def _encoded(stem: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), stem)


def stem_of(key: str) -> str:
    """Name of the photo of a sample."""
    return unquote(key.partition("/")[0], errors="surrogateescape")


class Packs:
    """The packed files of an output folder, or of some of its photos.

    Args:
        root: the output folder.
        samples: what is packed; of those of one key, the last one counts.
    """

    def __init__(self, root: Path, samples: Iterable[Sample] = ()) -> None:
        self._root = Path(root)
        self._photos: dict[str, dict[str, Sample]] = {}
        for one in samples:
            self.add(one)

    def add(self, sample: Sample) -> None:
        """Let a sample take the place of an earlier one."""
        photo = self._photos.setdefault(sample.stem, {})
        if sample.key not in photo or photo[sample.key].time <= sample.time:
            photo[sample.key] = sample

    @classmethod
    def of_folder(cls, root: Path, stems: Collection[str] | None = None) -> Packs:
        """The packed files of a folder, of all photos or of some; damaged ends of archives are left out."""
        found = (one for path in pack_files(root) for one in _Contents.of(path).samples)
        return cls(root, (one for one in found if stems is None or one.stem in stems))

    def of_photo(self, stem: str) -> tuple[Sample, ...]:
        """The samples of a photo, without those that were removed."""
        return tuple(one for one in self._photos.get(stem, {}).values() if one.members)

    def samples(self) -> Iterator[Sample]:
        """All samples that count."""
        for stem in self._photos:
            yield from self.of_photo(stem)

    def names(self, stem: str) -> list[str]:
        """Names of the people of a photo who have a result."""
        return [one.name for one in self.of_photo(stem) if any(ending == "npz" for ending, *_ in one.members)]

    def sample(self, key: str) -> Sample | None:
        """The sample of a key that counts."""
        found = self._photos.get(stem_of(key), {}).get(key)
        return found if found is not None and found.members else None

    def place(self, path: Path) -> tuple[Path, int, int] | None:
        """Archive, offset and size of the packed file with this name in the output folder."""
        if not self._photos or not path.is_relative_to(self._root):
            return None
        member = member_of(path.relative_to(self._root))
        sample = None if member is None else self.sample(member[0])
        if sample is None or member is None:
            return None
        sizes = (one for one in sample.members if one[0] == member[1])
        return next(((self._root / PACKS / sample.pack, offset, size) for _, offset, size in sizes), None)

    def has(self, path: Path) -> bool:
        """Whether a file is there, by itself or packed, and is not empty."""
        try:
            if path.stat().st_size > 0:
                return True
        except OSError:
            pass
        place = self.place(path)
        return place is not None and place[2] > 0

    def read(self, path: Path) -> bytes:
        """The bytes of a file, by itself or packed; raises OSError."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            place = self.place(path)
            if place is None:
                raise
        return read_place(*place)

    def members(self, key: str) -> dict[str, bytes]:
        """The packed files of a sample by their endings; raises OSError."""
        sample = self.sample(key)
        if sample is None:
            return {}
        path = self._root / PACKS / sample.pack
        return {ending: read_place(path, offset, size) for ending, offset, size in sample.members}


def read_place(pack: Path, offset: int, size: int) -> bytes:
    """Bytes of an archive; raises OSError where it is shorter."""
    with pack.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(size)
    if len(data) < size:
        raise OSError(f"{pack}: ends early")
    return data


def read_bytes(path: str | Path) -> bytes:
    """Read a file of an output folder, by itself or packed, under the same name; also ``NAME.tar/STEM/000.npz``.

    Raises:
        OSError: there is no such file.
    """
    path = Path(path)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        for parent in path.parents:
            if parent.suffix == _TAR and parent.is_file():
                return _member(parent, path.relative_to(parent).as_posix(), error)
            if (parent / PACKS).is_dir():
                return _cached(parent, _stamp(parent)).read(path)
        raise


def exists(path: str | Path) -> bool:
    """Whether there is a file, by itself or packed."""
    path = Path(path)
    root = next((one for one in path.parents if (one / PACKS).is_dir()), None)
    return path.is_file() or (root is not None and _cached(root, _stamp(root)).has(path))


def _member(pack: Path, name: str, error: OSError) -> bytes:
    for sample in _Contents.of(pack).samples:
        for ending, offset, size in sample.members:
            if f"{sample.key}.{ending}" == name:
                return read_place(pack, offset, size)
    raise error


@functools.lru_cache(maxsize=2)
def _cached(root: Path, stamp: tuple[object, ...]) -> Packs:
    """The packed files of a folder; ``stamp`` tells whether they have changed."""
    return Packs.of_folder(root)


def _stamp(root: Path) -> tuple[object, ...]:
    found = (path.stat() for path in pack_files(root))
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def pack_files(root: Path) -> list[Path]:
    """The archives of an output folder, the oldest first."""
    return sorted(Path(root, PACKS).glob(f"[!.]*{_TAR}"))


def has_packs(root: Path) -> bool:
    """Whether an output folder holds archives."""
    return bool(pack_files(root))


@dataclass
class _Contents:
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
    def of(cls, path: Path) -> _Contents:
        """Read the index of an archive, and the archive itself where the index ends early; damage is left out."""
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                samples = list(_indexed(path, size))
                n_indexed, end = len(samples), max((one.end for one in samples), default=0)
                if size != end + _END:
                    samples += _scanned(stream, path.name, end)
                    end = max((one.end for one in samples), default=0)
                return cls(samples, n_indexed, end, size == end + _END)
        except OSError:  # removed meanwhile
            return cls([], 0, 0, True)


def _indexed(path: Path, size: int) -> Iterator[Sample]:
    """The samples that the index of an archive names and that lie within the archive."""
    with suppress(FileNotFoundError), path.with_suffix(_INDEX).open("rb") as stream:
        for line in stream:
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                values = json.loads(line)
                places = values["members"].items()
                members = tuple((str(ending), int(at), int(length)) for ending, (at, length) in places)
                one = Sample(path.name, str(values["key"]), members, int(values["time"]), int(values["end"]))
                if one.end <= size and all(0 <= at <= at + length <= one.end for _, at, length in members):
                    yield one


def _scanned(stream: BinaryIO, pack: str, start: int) -> Iterator[Sample]:
    """The complete samples from an offset on; one of a person is complete if it has its result."""
    for key, group in groupby(_entries(stream, start), lambda entry: entry[0]):
        entries = list(group)
        members = tuple((ending, at, size) for _, ending, at, size, _ in entries)
        if key and (key.endswith(f"/{PHOTO}") or members[-1][0] == "npz"):
            end = _padded(members[-1][1] + members[-1][2])
            yield Sample(pack, key, members, entries[-1][4], end)


def _entries(stream: BinaryIO, start: int) -> Iterator[tuple[str, str, int, int, int]]:
    """Key, ending, offset, size and time of the complete members of an archive from an offset on."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    try:
        with tarfile.TarFile(fileobj=stream, errors="surrogateescape") as archive:
            for one in archive:
                if _padded(one.offset_data + one.size) > size:
                    return
                folder, _, name = one.name.rpartition("/")
                name, _, ending = name.partition(".")
                yield f"{folder}/{name}" if folder else "", ending, one.offset_data, one.size, int(one.mtime)
    except (tarfile.TarError, OSError):  # the end is cut off
        return


def _padded(length: int) -> int:
    return -(-length // _BLOCK) * _BLOCK


def mend_packs(root: Path) -> list[Path]:
    """Cut archives that killed processes left incomplete after the last complete sample, and complete their indexes.

    Those that other processes write are left alone.

    Returns:
        The archives that were changed.
    """
    mended = []
    for path in pack_files(root):
        contents = _Contents.of(path)
        if contents.is_clean and contents.n_indexed == len(contents.samples):
            continue
        with path.open("r+b") as stream:
            if not _is_abandoned(stream, path):
                continue
            contents = _Contents.of(path)
            if contents.samples:
                write_text(path.with_suffix(_INDEX), "".join(map(_line, contents.samples)))
                stream.truncate(contents.end)
                stream.truncate(contents.end + _END)
            else:
                remove_pack(path)
        mended.append(path)
    return mended


def _is_abandoned(stream: BinaryIO, path: Path) -> bool:
    """Whether no process writes an archive; locks may not reach other machines, so their files have to be old."""
    is_ours = f"-{socket.gethostname()}-" in path.name
    return _lock(stream) and (is_ours or time.time() - os.fstat(stream.fileno()).st_mtime > _OLD)


def is_in_use(path: Path) -> bool:
    """Whether a process of this machine writes an archive."""
    with path.open("r+b") as stream:
        return not _lock(stream)


def _lock(stream: BinaryIO) -> bool:
    """Lock a file until it is closed; False if another process has it. Without locks, nobody has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def remove_pack(path: Path) -> None:
    """Remove an archive and its index."""
    path.unlink(missing_ok=True)
    path.with_suffix(_INDEX).unlink(missing_ok=True)


def _line(sample: Sample) -> str:
    members = {ending: (at, size) for ending, at, size in sample.members}
    values = {"key": sample.key, "time": sample.time, "end": sample.end, "members": members}
    return json.dumps(values) + "\n"


class PackWriter:
    """Archives of one process; the first is made with the first sample.

    An archive is readable after each sample: the sample and the end of the archive are written at once.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = Path(root) / PACKS
        self._stream: BinaryIO | None = None
        self._path = self._folder
        self._end, self._last_key = 0, ""

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
            parts += [start, members[ending], bytes(_padded(header.size) - header.size)]
            end = _padded(end + len(start) + header.size)
        sample = Sample(self._path.name, key, tuple(places), now, end)
        self._append(stream, b"".join([*parts, bytes(_END)]), sample)
        self._last_key = key
        return sample

    def remove(self, key: str) -> Sample:
        """Note that a sample does not count any more; returns the note."""
        stream = self._opened()
        sample = Sample(self._path.name, key, (), int(time.time()), self._end)
        self._append(stream, bytes(_END), sample)
        return sample

    def close(self) -> None:
        """Close the archive; the next sample begins another one."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._last_key = None, ""

    def _opened(self) -> BinaryIO:
        if self._stream is not None and self._end > _LARGEST:
            self.close()
        if self._stream is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            moment = time.time()
            begun = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment)) + f"{int(moment % 1 * 1e6):06d}"
            name = f"{begun}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
            self._path, self._end = self._folder / f"{name}{_TAR}", 0
            self._stream = self._path.open("xb", buffering=0)
            _lock(self._stream)
        return self._stream

    def _append(self, stream: BinaryIO, data: bytes, sample: Sample) -> None:
        try:
            stream.seek(self._end)
            view = memoryview(data)
            while view:
                view = view[stream.write(view) :]
            with self._path.with_suffix(_INDEX).open("ab", buffering=0) as index:
                index.write(_line(sample).encode())
        except OSError as error:
            with suppress(OSError):
                stream.truncate(self._end)
                stream.truncate(self._end + _END)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end = sample.end
